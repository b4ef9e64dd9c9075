"""Running an exported function on ONNX Runtime beside PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError, EdgebllError, VerifyError
from edgebll.kernel.state.block_state import Array
from edgebll_export.bundles.rounding_bounds import MARGIN, NOISE, TOLERANCE, TRIALS, Distances, movements
from edgebll_export.functions.step_call import Call
from edgebll_export.tracing.trace import Trace, fake_value
from edgebll_export.tracing.user_code import running

#: A tensor that rounding moves by so much of its largest element says only that it is near zero.
_MOSTLY_NOISE = 0.1


@dataclass(frozen=True)
class Comparison:
    """How far ONNX Runtime's outputs are from PyTorch's.

    Attributes:
        tolerance: what errors may be.
        errors: the largest of each output, relative to the largest element PyTorch has.
        by_rounding: how many elements of an output are beyond the tolerance, but no further off than results move when the
            inputs move by as much as numbers round; outputs without such are left out.
    """

    tolerance: float = 0.0
    errors: Mapping[str, float] = field(default_factory=dict)
    by_rounding: Mapping[str, int] = field(default_factory=dict)


def compare(
    model: onnx.ModelProto, traced: Trace, call: Call, results: Mapping[str, Tensor], tolerance: float | None
) -> Comparison:
    """Run `model` on the example of `call`, for which PyTorch gave `results`; the tolerance is by default the precision's.

    Raises:
        VerifyError: ONNX Runtime refuses the model, or an output differs. ConfigError: the tolerance is not above 0.
    """
    precision = "mixed" if _has_float16(traced) else "float32"
    limit = TOLERANCE[precision] if tolerance is None else tolerance
    if not limit > 0:
        raise ConfigError(f"the tolerance must be a number above 0, not {limit}")
    _refuse_bfloat16(model, call, results)
    session = _session(model, call.name)
    actual, expected = _run(session, call.tensors, call.name), {name: value.numpy() for name, value in results.items()}
    outputs = [_Output(name, actual[name], value, limit) for name, value in expected.items()]
    beyond = [output for output in outputs if output.beyond.any()]
    if beyond:
        runs = list(_moved_runs(session, call, NOISE[precision]))
        moved, own = movements(expected, (run[0] for run in runs)), movements(actual, (run[1] for run in runs))
        wrong = [output for output in beyond if not output.explained(moved[output.name], own[output.name])]
        if wrong:
            worst = max(wrong, key=lambda output: output.error)
            raise VerifyError(f"{call.name}: ONNX Runtime's {worst.name!r} differs from PyTorch's {worst.amount(limit)}")
    counts = {output.name: int(output.beyond.sum()) for output in beyond}
    return Comparison(limit, {output.name: output.error for output in outputs}, counts)


class _Output:
    """One output on both sides."""

    def __init__(self, name: str, actual: Array, expected: Array, tolerance: float) -> None:
        self.name = name
        self.is_float = expected.dtype.kind == "f"
        self.differences = _differences(actual, expected)
        finite = np.abs(expected[np.isfinite(expected)].astype(np.float64))
        self.scale = float(finite.max(initial=0.0)) or 1.0
        self.beyond = self.differences > (tolerance * self.scale if self.is_float else 0.0)

    @property
    def error(self) -> float:
        """The largest difference over the largest element."""
        return float(self.differences.max(initial=0.0)) / self.scale

    def explained(self, moved: Distances, own: Distances) -> bool:
        """Whether PyTorch's elements move as far as the differences; of others than floats, each has to move itself.

        Where PyTorch's result is little but noise, the graph's may be noise of another size: then its own moves count too.
        """
        if not self.is_float:
            return bool((self.differences <= MARGIN * moved)[self.beyond].all())
        reach = float(moved.max(initial=0.0))
        if reach >= _MOSTLY_NOISE * self.scale:
            reach = max(reach, float(own.max(initial=0.0)))
        return float(self.differences.max()) <= MARGIN * reach

    def amount(self, tolerance: float) -> str:
        """How much the sides differ, in words."""
        advice = "and rounding of the inputs does not explain it; try another example"
        if not self.is_float:
            return f"in {int(self.beyond.sum())} of {self.beyond.size} elements, {advice}"
        return f"by {self.error:.2g} of its largest element, more than {tolerance:g}, {advice} or a larger tolerance"


def _differences(actual: Array, expected: Array) -> Distances:
    """How far each element is off; infinitely where the sides are of other kinds, or only one is finite."""
    if actual.dtype != expected.dtype or actual.shape != expected.shape:
        return np.full(expected.shape, np.inf)
    with np.errstate(invalid="ignore"):
        found = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    return np.where(same, 0.0, np.where(np.isfinite(found), found, np.inf))


def _has_float16(traced: Trace) -> bool:
    return any(getattr(fake_value(node), "dtype", None) == torch.float16 for node in traced.module.graph.nodes)


def _refuse_bfloat16(model: onnx.ModelProto, call: Call, results: Mapping[str, Tensor]) -> None:
    tensors = {**{value.name: call.tensors[value.name] for value in model.graph.input}, **results}
    for name, value in tensors.items():
        if value.dtype == torch.bfloat16:
            raise VerifyError(
                f"{name!r} of {call.name} is bfloat16, which ONNX Runtime has not on processors; export without the check"
            )


def _moved_runs(
    session: onnxruntime.InferenceSession, call: Call, size: float
) -> Iterator[tuple[dict[str, Array], dict[str, Array]]]:
    """What PyTorch and ONNX Runtime give for inputs that are off by rounding; a run that fails says nothing."""
    generator = torch.Generator().manual_seed(0)
    for _ in range(TRIALS):
        inputs = {name: _moved(value, size, generator) for name, value in call.tensors.items()}
        try:
            with running(call.name):
                results = call(inputs)
        except EdgebllError:
            continue
        yield {name: value.numpy() for name, value in results.items()}, _run(session, inputs, call.name)


def _moved(value: Tensor, size: float, generator: torch.Generator) -> Tensor:
    """A tensor with noise relative to each element; whole numbers, such as labels, masks and counters, are exact and stay."""
    content = value.detach()
    if not value.is_floating_point():
        return content.clone()
    noise = torch.randn(value.shape, generator=generator, dtype=torch.float64)
    moved = torch.where(content == content.round(), content, content * (1 + size * noise)).to(value.dtype)
    return moved.requires_grad_(value.requires_grad)


def _session(model: onnx.ModelProto, name: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    with _refusals(name):
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _run(session: onnxruntime.InferenceSession, tensors: Mapping[str, Tensor], name: str) -> dict[str, Array]:
    """Outputs by name, for those of the tensors that are inputs."""
    names = [output.name for output in session.get_outputs()]
    inputs = {value.name: tensors[value.name].detach().numpy() for value in session.get_inputs()}
    with _refusals(name):
        return dict(zip(names, session.run(names, inputs), strict=True))


@contextlib.contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # ONNX Runtime's exceptions have no common base of their own
        raise VerifyError(f"{name}: ONNX Runtime refuses the graph: {str(error).splitlines()[0]}") from error
