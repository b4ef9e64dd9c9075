"""How long each block's training step takes on this machine, for placing blocks on boards of its kind."""

from __future__ import annotations

import statistics
import time

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.spec.last_batch import step_scalars
from edgebll.kernel.spec.time_chunks import step_input
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.tasks import task_of_record

_WARM_UP, _TIMED = 2, 5


def step_seconds(bundle: Bundle, *, runtime: str = "onnxruntime", threads: int = 1) -> list[float]:
    """Median seconds of one training step of each block, in stream order; the bundle's golden inputs and its own state.

    Raises:
        ConfigError: unknown runtime or threads < 1. BundleError: a graph does not load.
    """
    manifest = bundle.manifest
    x, y = timing_batch(bundle)
    seconds = []
    for block in manifest.blocks:
        with load_block(runtime, bundle, block.name, threads=threads) as loaded:
            scalars = step_scalars(block.scalars, 0.0, manifest.batch_size)
            received = {tensor.name: np.zeros(tensor.shape, tensor.dtype) for tensor in block.received}
            times = []
            a: Array = x
            for _ in range(_WARM_UP + _TIMED):
                start = time.perf_counter()
                a, _metrics, _sent = loaded.train(x, y, scalars, received)
                times.append(time.perf_counter() - start)
            seconds.append(statistics.median(times[_WARM_UP:]))
            x = a
    return seconds


def timing_batch(bundle: Bundle) -> tuple[Array, Array]:
    """Inputs and targets to time steps on: golden inputs where the bundle has some; others are N(0, 1), whole numbers 0."""
    manifest = bundle.manifest
    outputs = manifest.blocks[-1].output.shape[1:]
    y = task_of_record(manifest.task, str(bundle.path)).examples(manifest.batch_size, outputs, np.random.default_rng(0))
    first, wanted = manifest.blocks[0], step_input(manifest.blocks[0])
    golden = bundle.golden(first.name).get("0/x") if manifest.golden_steps else None
    if golden is not None and (golden.shape, golden.dtype.name) == (wanted.shape, wanted.dtype):
        return golden, y
    if wanted.dtype == "float32":
        return np.random.RandomState(0).standard_normal(wanted.shape).astype(np.float32), y
    return np.zeros(wanted.shape, wanted.dtype), y
