"""Post-training int8 for the forward pass: `forward_int8.onnx`, with frozen weights, beside each block's float graphs.

Weights are int8 with one scale a channel, activations int8 with one scale a tensor, both symmetric (zero point 0), as
QuantizeLinear / DequantizeLinear pairs around convolutions and matrix products: what ONNX Runtime and TensorRT take alike.
Scales of activations come from running the float graphs on real samples; each block is calibrated on what the quantised blocks
before it give. Batch norm is folded into the convolution before it. For microcontrollers the
results of products stay as they are: what follows a sum is computed with it, and rounded where the next product reads it.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime import quantization
from torch import Tensor

from edgebll.kernel.bundle import INT8_GRAPH, Bundle, bundle_writer, open_bundle, write_manifest
from edgebll.kernel.errors import EdgebllError, ExportError
from edgebll.kernel.microcontroller import StateLayout
from edgebll.kernel.microcontroller.graph_plan import plan_graph
from edgebll.kernel.spec.manifest import Manifest
from edgebll.kernel.spec.side_inputs import read_by, side_inputs
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.learning import BlockStep
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.precision import make_precision
from edgebll.learning.step_tensors import zeros
from edgebll_export.bundles.block_models import check_model
from edgebll_export.bundles.calibration_samples import batches_for
from edgebll_export.bundles.one_at_a_time import one_at_a_time
from edgebll_export.bundles.verify import rebuild_steps
from edgebll_export.lowering.lower_trace import lower
from edgebll_export.targets import ONNX, Target, make_target
from edgebll_export.targets.microcontroller import MICROCONTROLLER
from edgebll_export.tracing.trace import trace

_PRODUCTS = ("Conv", "Gemm", "MatMul")
_OPTIONS = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}


@one_at_a_time
def quantize_bundle(
    path: Path | str,
    out: Path | str,
    samples: Array | Mapping[str, Array],
    *,
    data: str = "",
    network: BlockNetwork | None = None,
) -> Manifest:
    """Write a copy of a bundle with an int8 forward graph for every block.

    Args:
        path: the bundle.
        out: the bundle to write.
        samples: (N, ...) network inputs of the bundle's dtype to calibrate on; N at least one batch, what is over whole batches
            is left out. Where there are side inputs a mapping of such, with "x" and a name of each.
        data: where the samples come from, for the manifest.
        network: as for `verify_bundle`.

    Raises:
        BundleError: the bundle is broken, or is for microcontrollers and the int8 graph of a block cannot run on one.
        DataError: samples of another shape.
        ConfigError: too few samples, or the network cannot be rebuilt.
        ExportError: a block cannot be quantised. StorageError: nothing can be written at `out`.
    """
    bundle = open_bundle(path)
    batches = batches_for(bundle, samples if isinstance(samples, Mapping) else {"x": samples})
    with bundle_writer(out) as folder:
        for name in bundle.manifest.files:
            _copy(bundle, folder, name)
        for step in rebuild_steps(bundle, network):
            if step.precision.name == "bfloat16":  # which ONNX Runtime could not calibrate; its weights are float32 anyway
                step.precision = make_precision("float32")
            frozen = frozen_forward(step, bundle.state(step.name), make_target(bundle.manifest.target))
            own = [{"x": batch["x"], **read_by(step.spec, batch)} for batch in batches]
            _check_finite(step.name, _outputs(frozen, own))
            model = quantised(frozen, own, results=bundle.manifest.target != MICROCONTROLLER)
            content = model.SerializeToString(deterministic=True)
            if bundle.manifest.target == MICROCONTROLLER:
                plan_graph(content, f"{step.name}/{INT8_GRAPH}.onnx", step.spec, INT8_GRAPH, StateLayout((), 0))
            with storage_errors(folder):
                (folder / step.name / f"{INT8_GRAPH}.onnx").write_bytes(content)
            batches = [{**batch, "x": a} for batch, a in zip(batches, _outputs(model, own), strict=True)]
        note = {"int8": {"data": data, "samples": sum(len(batch["x"]) for batch in batches)}}
        return write_manifest(folder, replace(bundle.manifest, recipe={**bundle.manifest.recipe, **note}))


def _copy(bundle: Bundle, folder: Path, name: str) -> None:
    with storage_errors(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((bundle.path / name).read_bytes())


def frozen_forward(step: BlockStep, state: Mapping[str, Array], target: Target = ONNX) -> onnx.ModelProto:
    """A block's evaluation pass x -> a with its weights as constants.

    Convolutions stay convolutions: their Winograd form has no int8 kernels.
    """
    tensors: dict[str, Tensor] = {name: torch.from_numpy(value.copy()) for name, value in state.items()}

    def function(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"a": step.forward(tensors, values["x"], values)}

    inputs = zeros([step.spec.input, *side_inputs(step.spec)])
    model, used = lower(
        trace(function, inputs, [step.module]), f"{step.name}/{INT8_GRAPH}", replace(target, matrix_forms=False)
    )
    if unread := [name for name in inputs if name not in used]:
        raise ExportError(f"{step.name}: the result does not depend on {unread[0]}; nothing can be quantised")
    return model


def quantised(model: onnx.ModelProto, batches: Sequence[Mapping[str, Array]], *, results: bool = True) -> onnx.ModelProto:
    """The model with int8 products; as it is if it has none.

    Args:
        model: with its weights inside.
        batches: what it takes by input, to choose the scales of its results by.
        results: round the results of products, too, as ONNX Runtime's int8 kernels want. Default: True.

    Raises:
        ExportError: ONNX Runtime cannot compute it in int8.
    """
    if not any(node.op_type in _PRODUCTS for node in model.graph.node):
        return model
    with tempfile.TemporaryDirectory() as scratch, _refused(model.graph.name), _quiet():
        source, result = Path(scratch) / "folded.onnx", Path(scratch) / "int8.onnx"
        _fold(model, source)
        quantization.quantize_static(
            source,
            result,
            _Calibration(batches),
            op_types_to_quantize=list(_PRODUCTS),
            per_channel=True,
            activation_type=quantization.QuantType.QInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={
                **_OPTIONS,
                "TensorQuantOverrides": _whole_tensors(onnx.load(source).graph),
                "OpTypesToExcludeOutputQuantization": [] if results else list(_PRODUCTS),
            },
        )
        made = _plain(onnx.load(result), model.graph.name)
    check_model(made)
    return made


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with constants computed and batch norms folded into the convolutions before them, by ONNX Runtime.

    Raises:
        ExportError: ONNX Runtime refuses it.
    """
    with tempfile.TemporaryDirectory() as scratch, _refused(model.graph.name):
        _fold(model, Path(scratch) / "folded.onnx")
        return _plain(onnx.load(Path(scratch) / "folded.onnx"), model.graph.name)


def _plain(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """What ONNX Runtime wrote, without what it adds to a file: all domains it knows, and metadata."""
    model.graph.name = name
    del model.metadata_props[:]
    kept = [opset for opset in model.opset_import if opset.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    return model


def _check_finite(block: str, outputs: Sequence[Array]) -> None:
    if not all(np.isfinite(output).all() for output in outputs):
        raise ExportError(
            f"{block} gives NaN or infinity on the samples to calibrate on, so its int8 numbers have no scale; "
            "give samples and weights that it gives finite numbers for"
        )


def _whole_tensors(graph: onnx.GraphProto) -> dict[str, list[dict[str, Any]]]:
    """One scale for each constant that is a batch of matrices: ONNX Runtime multiplies none with a scale for each channel."""
    ranks = {tensor.name: len(tensor.dims) for tensor in graph.initializer}
    operands = {name for node in graph.node if node.op_type == "MatMul" for name in node.input}
    return {
        name: [{"quant_type": quantization.QuantType.QInt8, "symmetric": True}] for name in operands if ranks.get(name, 0) > 2
    }


@contextlib.contextmanager
def _refused(name: str) -> Iterator[None]:
    """Errors of ONNX Runtime and its quantiser, which have no common base, as one sentence."""
    try:
        yield
    except EdgebllError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ExportError(
            f"{name} cannot be computed in int8 by ONNX Runtime: {reason}; leave this network in float32"
        ) from error


def _fold(model: onnx.ModelProto, path: Path) -> None:
    """Write the model with batch norm folded into convolutions, by ONNX Runtime's own optimiser."""
    options = _silent()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _silent() -> onnxruntime.SessionOptions:
    """No log lines: an error is raised as well."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return options


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[Mapping[str, Array]]) -> None:
        self._left: Iterator[dict[str, Any]] = iter([dict(batch) for batch in batches])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


def _outputs(model: onnx.ModelProto, batches: Sequence[Mapping[str, Array]]) -> list[Array]:
    with _refused(model.graph.name):
        session = onnxruntime.InferenceSession(model.SerializeToString(), _silent(), providers=["CPUExecutionProvider"])
        return [np.asarray(session.run(["a"], dict(batch))[0]) for batch in batches]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No advice of the quantiser on preprocessing, which `_fold` has done."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
