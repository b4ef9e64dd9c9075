"""What a bundle asks of the boards that run it: arithmetic, memory traffic and messages of a training step, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.spec.edge_check import is_chain, received_name
from edgebll.kernel.spec.manifest import BlockSpec, Manifest
from edgebll.kernel.spec.side_inputs import chain_bytes


@dataclass(frozen=True)
class SideStream:
    """A stream between blocks besides the chain: indices of its two blocks, bytes of a token, and its lag in steps."""

    source: int
    target: int
    size_bytes: int
    lag: int


@dataclass(frozen=True)
class Workload:
    """What one training step takes; make it with `of`.

    Attributes:
        blocks: names in stream order.
        batch_size: samples of a step.
        weights: cost of each block where nothing else is known, in any one unit.
        chain_bytes: bytes of a token that comes to each block along the chain; to the first, from the host.
        sides: the other streams.
        window: tokens in flight.
        touched_bytes: that a step of each block reads and writes at least: its state, twice, and what comes and goes.
        flops: floating-point operations of a step of each block; None where the bundle does not tell.
        seconds: of a step of each block on a board of which nothing is said; None where nothing was timed.
        digest: SHA-256 of the bundle's manifest; empty where there is none.
    """

    blocks: tuple[str, ...]
    batch_size: int
    weights: tuple[float, ...]
    chain_bytes: tuple[int, ...]
    sides: tuple[SideStream, ...] = ()
    window: int = 8
    touched_bytes: tuple[int, ...] = ()
    flops: tuple[float, ...] | None = None
    seconds: tuple[float, ...] | None = None
    digest: str = ""

    @classmethod
    def of(cls, bundle: Bundle, window: int, seconds: Sequence[float] | None = None) -> Workload:
        """What a bundle asks.

        Args:
            bundle: to be placed.
            window: tokens in flight.
            seconds: measured, of a step of each block on one machine.
        """
        manifest = bundle.manifest
        specs = manifest.blocks
        touched = tuple(step_bytes(spec) + spec.state_bytes for spec in specs)
        return cls(
            blocks=tuple(spec.name for spec in specs),
            batch_size=manifest.batch_size,
            weights=tuple(seconds) if seconds is not None else tuple(float(step_bytes(spec)) for spec in specs),
            chain_bytes=tuple(chain_bytes(specs[index:]) for index in range(len(specs))),
            sides=_sides(manifest),
            window=window,
            touched_bytes=touched,
            flops=_flops(bundle),
            seconds=tuple(seconds) if seconds is not None else None,
            digest=bundle.manifest_sha256,
        )

    def timed(self, seconds: Sequence[float]) -> Workload:
        """The same with measured seconds of each block's step."""
        return replace(self, seconds=tuple(seconds), weights=tuple(seconds))


def step_bytes(block: BlockSpec) -> int:
    """Bytes of a block's input, output and state, and of what it receives and sends besides."""
    beside = sum(tensor.size_bytes for tensor in (*block.received, *block.sent))
    return block.input.size_bytes + block.output.size_bytes + block.state_bytes + beside


def _flops(bundle: Bundle) -> tuple[float, ...] | None:
    found = [bundle.flops(block.name, "step") for block in bundle.manifest.blocks]
    return tuple(float(each) for each in found if each is not None) if None not in found else None


def _sides(manifest: Manifest) -> tuple[SideStream, ...]:
    order = {block.name: index for index, block in enumerate(manifest.blocks)}
    found = []
    for edge in manifest.edges:
        if is_chain(edge) or edge.source not in order:
            continue
        names = {received_name(edge.source, name) for name in edge.tensors}
        size = sum(tensor.size_bytes for tensor in manifest.block(edge.target).received if tensor.name in names)
        found.append(SideStream(order[edge.source], order[edge.target], size, edge.lag))
    return tuple(found)
