"""How long each block's training step takes on this machine, for placing blocks on boards of its kind."""

from __future__ import annotations

import statistics
import time
from typing import Any

import numpy as np

from edgebll.bundle import Bundle
from edgebll_devices.runtimes import load_block

_WARM_UP, _TIMED = 2, 5


def step_seconds(bundle: Bundle, *, runtime: str = "onnxruntime", threads: int = 1) -> list[float]:
    """Median seconds of one training step of each block, in stream order; random data, the bundle's own state.

    Raises:
        ConfigError: unknown runtime or threads < 1. BundleError: a graph does not load.
    """
    random = np.random.RandomState(0)
    manifest = bundle.manifest
    x = random.standard_normal(manifest.blocks[0].input.shape).astype(np.float32)
    *samples, num_classes = manifest.blocks[-1].labels.shape
    y = np.eye(num_classes, dtype=np.float32)[random.randint(num_classes, size=samples)]
    seconds = []
    for block in manifest.blocks:
        with load_block(runtime, bundle, block.name, threads=threads) as loaded:
            scalars = dict.fromkeys(block.scalars, 0.0)
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
