"""A target: the opset, the forms of lowering that suit it, and which operators it takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from edgebll.kernel.errors import ExportError

#: Why a node cannot run there, or None: (operator, dtypes of the inputs, number of outputs, attributes) -> reason.
Refusal = Callable[[str, Sequence[str], int, Mapping[str, Any]], str | None]

#: Conv takes bfloat16 from this opset on.
_BFLOAT16_OPSET = 22
#: What ONNX Runtime computes on processors in float32 but not in float64.
_NO_FLOAT64 = {"AveragePool", "Conv", "ConvTranspose", "Elu", "Erf", "GlobalAveragePool", "HardSigmoid", "Softplus"}


def _by_onnxruntime(operator: str, dtypes: Sequence[str], outputs: int, attributes: Mapping[str, Any]) -> str | None:
    if "bfloat16" in dtypes:
        return "ONNX Runtime computes no bfloat16 on processors; export with precision 'mixed' or for TensorRT 10 or later"
    if "float64" in dtypes and operator in _NO_FLOAT64:
        return f"ONNX Runtime has no {operator} of float64; convert its input with .float()"
    return None


@dataclass(frozen=True)
class Target:
    """What a graph is made for.

    Attributes:
        name: e.g. "onnx" or "tensorrt-8.6".
        opset: version of the default operator domain.
        batch_statistics: batch statistics by BatchNormalization with training_mode=1, which only ONNX Runtime has.
        matrix_forms: convolutions as matrix products, which beat ONNX Runtime's Conv; TensorRT has fast ones of its own.
        inference: the graph is an evaluation pass with its weights inside: norms over a sample are operators of their own,
            which every runtime has and takes for any batch size.
        fast_masks: 0-1 masks by a steep HardSigmoid, faster on ONNX Runtime; elsewhere by a comparison.
        threads: of the processor that compute a block, where that is known.
        scans: updates of large tensors row by row in a Scan, faster on ONNX Runtime where a block has one thread.
        compact: graphs of few operators, nodes and constants, for an interpreter, whatever ONNX Runtime would like better.
        max_axes: of a value at most, where there is a limit.
        precisions: precisions of `edgebll.learning.PRECISIONS` that run there.
        refusal: says why a node cannot run there.
    """

    name: str
    opset: int = 17
    batch_statistics: bool = True
    matrix_forms: bool = True
    inference: bool = False
    fast_masks: bool = True
    threads: int | None = None
    scans: bool = False
    compact: bool = False
    max_axes: int | None = None
    precisions: tuple[str, ...] = ("float32", "mixed", "int8")
    refusal: Refusal = _by_onnxruntime

    def suited(self, precision: str) -> Target:
        """This target with an opset that has the precision's types.

        Raises:
            ExportError: it does not compute in this precision.
        """
        if precision not in self.precisions:
            raise ExportError(
                f"the target {self.name} does not compute in {precision}; it has {', '.join(self.precisions)}: choose one by "
                "--precision, for weights are float32 in every run"
            )
        return replace(self, opset=max(self.opset, _BFLOAT16_OPSET)) if precision == "bfloat16" else self

    def check_axes(self, operator: str, shapes: Iterable[Sequence[int]]) -> None:
        """Refuse values of more axes than the target has.

        Raises:
            ExportError: names the operator.
        """
        axes = max(map(len, shapes))
        if self.max_axes is not None and axes > self.max_axes:
            raise ExportError(f"the target {self.name} has {self.max_axes} axes at most, and {operator} has a value of {axes}")

    @property
    def is_tensorrt(self) -> bool:
        """Whether TensorRT runs the graphs."""
        return self.name.startswith("tensorrt")


#: ONNX Runtime, or whatever runs plain ONNX files of opset 17.
ONNX = Target("onnx")
