"""Bundles for microcontrollers, each exported once, and what trains their blocks alike on two runtimes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.spec.time_chunks import RESET, chunk_of, reset_at
from edgebll.learning import BLL, SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, make_target
from edgebll_export.bundles.quantize import quantize_bundle
from support.shared_bundles import shared_bundle
from support.small_networks import small_network_of


@cache
def microcontroller_bundle(network: str, batch_size: int = 2, precision: str = "float32") -> Bundle:
    """A network of SMALL_NETWORKS with BLL and momentum."""
    optimizer = SGD(momentum=0.9, weight_decay=1e-4)
    how: dict[str, Any] = {"rule": BLL(), "optimizer": optimizer, "batch_size": batch_size, "precision": precision}
    target = make_target("microcontroller")
    return shared_bundle(
        f"mcu-{network}-{batch_size}-{precision}",
        lambda path: export_bundle(small_network_of(network), path=path, target=target, **how),
    )


@cache
def short_bundle(network: str, state_bits: int, batch_size: int = 1) -> Bundle:
    """A network of SMALL_NETWORKS with BLL and momentum, whose state is rounded to so many bits."""
    optimizer = SGD(momentum=0.9, nesterov=False, weight_decay=1e-4, state_bits=state_bits)
    how: dict[str, Any] = {"rule": BLL(), "optimizer": optimizer, "batch_size": batch_size}
    target = make_target("microcontroller")
    return shared_bundle(
        f"mcu-{network}-{batch_size}-bits{state_bits}",
        lambda path: export_bundle(small_network_of(network), path=path, target=target, **how),
    )


@cache
def chunked_bundle(rule: str) -> Bundle:
    """Two spiking blocks that learn online, in two chunks of two time steps a sample; of eprop they are recurrent."""
    options = {"width": 8, "depth": 2, **({"recurrent": True} if rule == "eprop" else {})}
    network = make_network("spiking-mlp", num_blocks=2, num_classes=3, input_shape=(4, 6), seed=0, options=options)
    optimizer, target = SGD(momentum=0.9, nesterov=False), make_target("microcontroller")
    how: dict[str, Any] = {"rule": make_rule(rule, chunk=2), "optimizer": optimizer, "batch_size": 2, "target": target}
    return shared_bundle(f"mcu-chunks-{rule}", lambda path: export_bundle(network, path=path, **how))


@cache
def int8_bundle(network: str, batch_size: int = 2) -> Bundle:
    """The same, quantised on random samples."""
    plain, chance = microcontroller_bundle(network, batch_size), np.random.default_rng(0)
    shape = (8 * batch_size, *plain.manifest.blocks[0].input.shape[1:])
    samples = chance.standard_normal(shape).astype(np.float32)
    return shared_bundle(
        f"mcu-{network}-{batch_size}-quantised",
        lambda path: quantize_bundle(plain.path, path, samples, network=small_network_of(network)),
    )


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
