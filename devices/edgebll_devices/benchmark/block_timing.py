"""Timing blocks of a bundle on a runtime: a training step and a forward pass of each."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.limits.resident_peak import ResidentPeak
from edgebll.kernel.spec.last_batch import step_scalars
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.spec.time_chunks import repeated, step_input
from edgebll.kernel.state.block_state import Array
from edgebll_devices.benchmark.latency import Latency, measure


class BlockTiming(NamedTuple):
    """How a block ran.

    Attributes:
        block: its name.
        train: latency of a training step.
        predict: latency of a forward pass.
        memory_bytes: what loading and computing it took at most.
    """

    block: str
    train: Latency
    predict: Latency
    memory_bytes: int


def time_block(bundle: Bundle, block: str, runtime: str, *, threads: int, seconds: float) -> BlockTiming:
    """Load a block and time it on its golden inputs, or on random ones; the bundle is not changed.

    Args:
        bundle: an opened bundle.
        block: the block's name.
        runtime: one of RUNTIMES.
        threads: of one call.
        seconds: to measure each of the two for.

    Raises:
        EdgebllError: what `load_block` and the runtime raise.
    """
    spec = bundle.manifest.block(block)
    golden = bundle.golden(block) if bundle.manifest.golden_steps else {}
    x, y = (_numbers(golden.get(f"0/{name}"), tensor) for name, tensor in (("x", step_input(spec)), ("y", spec.labels)))
    received = {tensor.name: _numbers(golden.get(f"0/{tensor.name}"), tensor) for tensor in spec.received}
    memory = ResidentPeak()
    memory.reset()
    with load_block(runtime, bundle, block, threads=threads) as loaded:
        train = measure(partial(loaded.train, x, y, _still(spec), received), seconds)
        predict = measure(partial(loaded.evaluate, repeated(spec, x), read_by(spec, received) or None), seconds)
        return BlockTiming(block, train, predict, memory.peak())


def _still(spec: BlockSpec) -> dict[str, float]:
    """All samples at a learning rate of 0: the same work, and weights stay what they are, however long it goes on."""
    return step_scalars(spec.scalars, 0.0, spec.input.shape[0])


def _numbers(recorded: Array | None, tensor: TensorSpec) -> Array:
    if recorded is not None and (recorded.shape, recorded.dtype.name) == (tensor.shape, tensor.dtype):
        return recorded
    if np.dtype(tensor.dtype).kind == "f":
        return np.random.default_rng(0).standard_normal(tensor.shape).astype(tensor.dtype)
    return np.zeros(tensor.shape, tensor.dtype)
