"""Post-training int8 for the forward pass: `forward_int8.onnx`, with frozen weights, beside each block's float graphs.

Weights are int8 with one scale a channel, activations int8 with one scale a tensor, both symmetric (zero point 0), as
QuantizeLinear / DequantizeLinear pairs around convolutions and matrix products: what ONNX Runtime and TensorRT take alike.
Scales of activations come from running the float graphs on real samples; each block is calibrated on what the quantised blocks
before it give. Batch norm is folded into the convolution before it.
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

from edgebll.bundle import INT8_GRAPH, Bundle, bundle_writer, open_bundle, write_manifest
from edgebll.errors import ConfigError, DataError, ExportError
from edgebll.files import storage_errors
from edgebll.learning import BlockStep
from edgebll.learning.step import zeros
from edgebll.networks import BlockNetwork
from edgebll.spec import Manifest
from edgebll.state import Array
from edgebll_export.lower import lower
from edgebll_export.models import check_model
from edgebll_export.targets import ONNX
from edgebll_export.trace import trace
from edgebll_export.verify import rebuild_steps

#: Convolutions stay convolutions here: their Winograd form has no int8 kernels.
_TARGET = replace(ONNX, matrix_forms=False)
_OPTIONS = {"ActivationSymmetric": True, "WeightSymmetric": True, "QuantizeBias": False}


def quantize_bundle(
    path: Path | str, out: Path | str, samples: Array, *, data: str = "", network: BlockNetwork | None = None
) -> Manifest:
    """Write a copy of a bundle with an int8 forward graph for every block.

    Args:
        path: the bundle. out: the bundle to write.
        samples: (N, ...) network inputs of the bundle's dtype to calibrate on; N at least one batch, what is over whole batches
            is left out.
        data: where the samples come from, for the manifest. network: as for `verify_bundle`.

    Raises:
        BundleError: the bundle is broken. DataError: samples of another shape.
        ConfigError: too few samples, or the network cannot be rebuilt.
        ExportError: a block cannot be quantised. StorageError: nothing can be written at `out`.
    """
    bundle = open_bundle(path)
    shape, dtype = bundle.manifest.input_shape, bundle.manifest.blocks[0].input.dtype
    if (samples.shape[1:], samples.dtype.name) != (shape, dtype):
        came = f"{samples.dtype.name} of shape {samples.shape[1:]}"
        raise DataError(f"{path} takes {dtype} samples of shape {shape}, not {came} to calibrate on")
    batches = _batches(samples, bundle.manifest.batch_size)
    with bundle_writer(out) as folder:
        for name in bundle.manifest.files:
            _copy(bundle, folder, name)
        for step in rebuild_steps(bundle, network):
            model = _quantised(frozen_forward(step, bundle.state(step.name)), batches)
            with storage_errors(folder):
                (folder / step.name / f"{INT8_GRAPH}.onnx").write_bytes(model.SerializeToString(deterministic=True))
            batches = _outputs(model, batches)
        note = {"int8": {"data": data, "samples": sum(len(batch) for batch in batches)}}
        return write_manifest(folder, replace(bundle.manifest, recipe={**bundle.manifest.recipe, **note}))


def _copy(bundle: Bundle, folder: Path, name: str) -> None:
    with storage_errors(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((bundle.path / name).read_bytes())


def _batches(samples: Array, batch_size: int) -> list[Array]:
    count = len(samples) // batch_size
    if count == 0:
        raise ConfigError(f"calibration needs at least one batch of {batch_size} samples, but got {len(samples)}")
    return [samples[i * batch_size : (i + 1) * batch_size] for i in range(count)]


def frozen_forward(step: BlockStep, state: Mapping[str, Array]) -> onnx.ModelProto:
    """A block's evaluation pass x -> a with its weights as constants."""
    tensors: dict[str, Tensor] = {name: torch.from_numpy(value.copy()) for name, value in state.items()}

    def function(values: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"a": step.forward(tensors, values["x"])}

    inputs = zeros([step.spec.input])
    model, used = lower(trace(function, inputs, [step.module]), f"{step.name}/{INT8_GRAPH}", _TARGET)
    if not used:
        raise ExportError(f"{step.name}: the result does not depend on x; nothing can be quantised")
    return model


def _quantised(model: onnx.ModelProto, batches: Sequence[Array]) -> onnx.ModelProto:
    with tempfile.TemporaryDirectory() as scratch:
        folded, result = Path(scratch) / "folded.onnx", Path(scratch) / "int8.onnx"
        _fold(model, folded)
        try:
            with _quiet():
                quantization.quantize_static(
                    folded,
                    result,
                    _Calibration(batches),
                    op_types_to_quantize=["Conv", "Gemm", "MatMul"],
                    per_channel=True,
                    activation_type=quantization.QuantType.QInt8,
                    weight_type=quantization.QuantType.QInt8,
                    extra_options=_OPTIONS,
                )
        except (ValueError, RuntimeError, KeyError) as error:
            raise ExportError(f"{model.graph.name} cannot be quantised: {str(error).splitlines()[0]}") from error
        quantised = onnx.load(result)
    quantised.graph.name = model.graph.name
    del quantised.metadata_props[:]
    kept = [opset for opset in quantised.opset_import if opset.domain == ""]  # ONNX Runtime names all domains it knows
    del quantised.opset_import[:]
    quantised.opset_import.extend(kept)
    check_model(quantised)
    return quantised


def _fold(model: onnx.ModelProto, path: Path) -> None:
    """Write the model with batch norm folded into convolutions, by ONNX Runtime's own optimiser."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(path)
    options.log_severity_level = 3
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class _Calibration(quantization.CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: Sequence[Array]) -> None:
        self._left: Iterator[dict[str, Any]] = iter([{"x": batch} for batch in batches])

    def get_next(self) -> dict[str, Any] | None:
        return next(self._left, None)


def _outputs(model: onnx.ModelProto, batches: Sequence[Array]) -> list[Array]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [np.asarray(session.run(["a"], {"x": batch})[0]) for batch in batches]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No advice of the quantiser on preprocessing, which `_fold` has done."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
