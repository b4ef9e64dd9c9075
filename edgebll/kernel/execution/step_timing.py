"""How long each block's training step takes on this machine, for placing blocks on boards of its kind."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.spec.last_batch import step_scalars
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.kernel.tasks import task_of_record

_WARM_UP, _TIMED = 2, 5


def step_seconds(bundle: Bundle, *, runtime: str = "onnxruntime", threads: int = 1) -> list[float]:
    """Median seconds of one training step of each block, in stream order; the bundle's golden inputs and its own state.

    Raises:
        ConfigError: unknown runtime or threads < 1. BundleError: a graph does not load.
    """
    random = np.random.RandomState(0)
    manifest = bundle.manifest
    x = _inputs(bundle, random)
    outputs = manifest.blocks[-1].output.shape[1:]
    y = task_of_record(manifest.task, str(bundle.path)).examples(manifest.batch_size, outputs, np.random.default_rng(0))
    seconds = []
    for block in manifest.blocks:
        with load_block(runtime, bundle, block.name, threads=threads) as loaded:
            scalars = step_scalars(block.scalars, 0.0, manifest.batch_size)
            received = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in block.received}
            times = []
            a: np.ndarray[Any, Any] = x
            for _ in range(_WARM_UP + _TIMED):
                start = time.perf_counter()
                a, _metrics, _sent = loaded.train(x, y, scalars, received)
                times.append(time.perf_counter() - start)
            seconds.append(statistics.median(times[_WARM_UP:]))
            x = a
    return seconds


def _inputs(bundle: Bundle, random: np.random.RandomState) -> np.ndarray[Any, Any]:
    """Inputs that the network is made for, where the bundle has some; otherwise whole numbers are 0, others from N(0, 1)."""
    first = bundle.manifest.blocks[0]
    wanted = step_input(first)
    if bundle.manifest.golden_steps:
        golden = bundle.golden(first.name).get("0/x")
        if golden is not None and (golden.shape, golden.dtype.name) == (wanted.shape, wanted.dtype):
            return golden
    if wanted.dtype == "float32":
        return random.standard_normal(wanted.shape).astype(np.float32)
    return np.zeros(wanted.shape, wanted.dtype)
