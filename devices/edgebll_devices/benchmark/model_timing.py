"""Timing an ONNX model as `edgebll merge` writes it, or any other, on ONNX Runtime's processors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from edgebll.kernel.errors import BundleError, ConfigError, MissingExtraError
from edgebll.kernel.limits.resident_peak import ResidentPeak
from edgebll.kernel.state.block_state import Array
from edgebll_devices.benchmark.latency import Latency, measure

_OURS = "edgebll."
_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(bool)": "bool",
}


@dataclass(frozen=True)
class ModelTiming:
    """How a model ran.

    Attributes:
        batch: samples of each call.
        latency: of a call.
        memory_bytes: what loading and computing it took at most.
        about: what `edgebll merge` wrote into its metadata, by name; empty for other models.
    """

    batch: int
    latency: Latency
    memory_bytes: int
    about: dict[str, str]


def time_model(path: Path, *, batch: int | None, threads: int, seconds: float) -> ModelTiming:
    """Load a model and time it on random inputs.

    Args:
        path: the ONNX file.
        batch: samples at once where the model takes any number, 1 by default; what it takes where that is fixed.
        threads: of one call.
        seconds: to measure for.

    Raises:
        BundleError: the file cannot be read, or ONNX Runtime does not load or run it. ConfigError: it takes another batch.
        MissingExtraError: no ONNX Runtime.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("timing a model needs onnxruntime, which is not installed: pip install onnxruntime") from error
    if not path.is_file():
        raise BundleError(f"{path} is no file; make one with `edgebll merge`")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors come back as exceptions too
    memory = ResidentPeak()
    memory.reset()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exceptions have no base of their own
        raise BundleError(f"{path} does not load in ONNX Runtime ({_line(error)}); make one with `edgebll merge`") from error
    size = _batch(path, session.get_inputs(), batch)
    inputs = {given.name: _numbers(path, given, size) for given in session.get_inputs()}
    try:
        latency = measure(partial(session.run, None, inputs), seconds)
    except Exception as error:  # as above
        raise BundleError(f"{path} fails in ONNX Runtime ({_line(error)}); give another --batch, or merge it again") from error
    told = session.get_modelmeta().custom_metadata_map
    about = {name.removeprefix(_OURS): text for name, text in told.items() if name.startswith(_OURS)}
    return ModelTiming(size, latency, memory.peak(), about)


def _batch(path: Path, inputs: list[Any], asked: int | None) -> int:
    """Samples of a call: what the first axis of the first input says, or what is asked for."""
    first = inputs[0].shape[0] if inputs and inputs[0].shape else 1
    if not isinstance(first, int):
        return asked or 1
    if asked not in (None, first):
        raise ConfigError(f"{path} takes batches of {first}, not {asked}; leave --batch out, or merge it for {asked}")
    return first


def _numbers(path: Path, given: Any, batch: int) -> Array:
    """Random numbers for an input; whole ones are 0, which tables of all sizes have."""
    shape = [batch if axis == 0 and not isinstance(size, int) else size for axis, size in enumerate(given.shape)]
    dtype = _DTYPES.get(given.type)
    if dtype is None or not all(isinstance(size, int) for size in shape):
        raise BundleError(f"{path}: the input {given.name!r} is {given.type} of {given.shape}, which is not known how to fill")
    if np.dtype(dtype).kind == "f":
        return np.random.default_rng(0).standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
