"""Bundles for microcontrollers, each exported once, and what trains their blocks alike on two runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.time_chunks import RESET, chunk_of, reset_at
from edgebll.learning import BLL, SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, make_target
from edgebll_export.bundles.quantize import quantize_bundle
from support.small_networks import small_network_of


@cache
def microcontroller_bundle(network: str, batch_size: int = 2, precision: str = "float32") -> Bundle:
    """A network of SMALL_NETWORKS with BLL and momentum."""
    path = Path(mkdtemp(prefix="edgebll-mcu-")) / network
    export_bundle(
        small_network_of(network),
        rule=BLL(),
        optimizer=SGD(momentum=0.9, weight_decay=1e-4),
        batch_size=batch_size,
        path=path,
        target=make_target("microcontroller"),
        precision=precision,
    )
    return open_bundle(path)


@cache
def short_bundle(network: str, state_bits: int, batch_size: int = 1) -> Bundle:
    """A network of SMALL_NETWORKS with BLL and momentum, whose state is rounded to so many bits."""
    path = Path(mkdtemp(prefix="edgebll-mcu-")) / f"{network}{state_bits}"
    export_bundle(
        small_network_of(network),
        rule=BLL(),
        optimizer=SGD(momentum=0.9, nesterov=False, weight_decay=1e-4, state_bits=state_bits),
        batch_size=batch_size,
        path=path,
        target=make_target("microcontroller"),
    )
    return open_bundle(path)


@cache
def chunked_bundle(rule: str) -> Bundle:
    """Two spiking blocks that learn online, in two chunks of two time steps a sample; of eprop they are recurrent."""
    path = Path(mkdtemp(prefix="edgebll-mcu-")) / rule
    options = {"width": 8, "depth": 2, **({"recurrent": True} if rule == "eprop" else {})}
    export_bundle(
        make_network("spiking-mlp", num_blocks=2, num_classes=3, input_shape=(4, 6), seed=0, options=options),
        rule=make_rule(rule, chunk=2),
        optimizer=SGD(momentum=0.9, nesterov=False),
        batch_size=2,
        path=path,
        target=make_target("microcontroller"),
    )
    return open_bundle(path)


@cache
def int8_bundle(network: str, batch_size: int = 2) -> Bundle:
    """The same, quantised on random samples."""
    plain, chance = microcontroller_bundle(network, batch_size), np.random.default_rng(0)
    shape = (8 * batch_size, *plain.manifest.blocks[0].input.shape[1:])
    out = plain.path.with_name(f"{network}-int8")
    quantize_bundle(plain.path, out, chance.standard_normal(shape).astype(np.float32), network=small_network_of(network))
    return open_bundle(out)


def batches(spec: BlockSpec, steps: int, seed: int = 0) -> Iterator[tuple[Any, Any]]:
    """Inputs and one-hot labels of a block, random, the same for the same seed."""
    chance = np.random.default_rng(seed)
    for _ in range(steps):
        x = chance.standard_normal(spec.input.shape).astype(np.float32)
        yield x, np.eye(spec.labels.shape[1], dtype=np.float32)[chance.integers(spec.labels.shape[1], size=len(x))]


def trained(block: BlockRuntime, x: Any, y: Any, chunk: int) -> list[bytes]:
    """What comes of a step on a chunk of samples, or on all of them where the block takes them whole."""
    scalars = dict.fromkeys(block.spec.scalars, 0.05) | {RESET: reset_at(chunk, block.spec.chunks)}
    part = np.ascontiguousarray(chunk_of(x, chunk, block.spec.chunks, static=block.spec.static))
    a, metrics, _ = block.train(part, y, scalars)
    return [a.tobytes(), np.array(list(metrics.values()), np.float32).tobytes()]


def bits(block: BlockRuntime, steps: int, seed: int = 0) -> list[bytes]:
    """What comes of training, step by step, then of evaluation and feedback, and the state that is left."""
    found = []
    for x, y in batches(block.spec, steps, seed):
        for chunk in range(block.spec.chunks):
            found += trained(block, x, y, chunk)
    x, y = next(batches(block.spec, 1, seed + 1))
    found.append(block.evaluate(x).tobytes())
    if block.spec.beta is not None:
        found.append(block.feedback(y).tobytes())
    return [*found, *(value.tobytes() for value in block.state().values())]
