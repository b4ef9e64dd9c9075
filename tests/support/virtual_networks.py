"""Manifests of networks that nobody exports, and clusters that nobody has, for runs in virtual time."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgebll.kernel.spec.edge_check import HOST, EdgeSpec, received_name
from edgebll.kernel.spec.manifest import FORMAT_VERSION, BlockSpec, Manifest, TensorSpec
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.run.token_feeder import TokenFeeder
from edgebll_firmware_host.simulation.block_costs import NEVER, BlockCosts
from edgebll_firmware_host.simulation.chain_stream import ChainStream
from edgebll_firmware_host.simulation.draws import Draws
from edgebll_firmware_host.simulation.event_stream import EventStream
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.stream_host import StreamHost
from edgebll_firmware_host.simulation.stream_record import VirtualRecord
from edgebll_firmware_host.simulation.virtual_cluster import VirtualBoard, VirtualCluster, VirtualHost, VirtualLink


def network(blocks: int, *, features: int = 256, state: int = 1000, sides: Sequence[tuple[int, int, int]] = ()) -> Manifest:
    """Dense blocks; `sides`: (source, target, lag) of side streams between them."""
    names = [f"block{index}" for index in range(blocks)]
    edges = [EdgeSpec(f"block{source}", f"block{target}", ("told",), lag) for source, target, lag in sides]
    specs = []
    for index, name in enumerate(names):
        told = tuple(TensorSpec(received_name(e.source, "told"), "float32", (50,)) for e in edges if e.target == name)
        specs.append(
            BlockSpec(
                name=name,
                input=TensorSpec("x", "float32", (1, features)),
                labels=TensorSpec("y", "float32", (1, 10)),
                output=TensorSpec("a", "float32", (1, features)),
                state=(TensorSpec("w", "float32", (state,)),),
                scalars=("lr",),
                metrics=("loss",),
                forward_state=("w",),
                output_role="logits" if index + 1 == blocks else "activation",
                received=told,
                sent=(TensorSpec("told", "float32", (50,)),) if any(e.source == name for e in edges) else (),
            )
        )
    chain = [EdgeSpec(a, b, ("x" if a == HOST else "a", "y")) for a, b in itertools.pairwise((HOST, *names))]
    table: dict[str, Any] = {"name": "dense"}
    return Manifest(FORMAT_VERSION, table, table, table, {}, 1, 10, (features,), tuple(specs), (*chain, *edges))


def spread_out(manifest: Manifest, sizes: Sequence[int]) -> Placement:
    """The first blocks on board0, the next on board1, and so on."""
    names, placed, at = [block.name for block in manifest.blocks], {}, 0
    for number, size in enumerate(sizes):
        placed[f"board{number}"] = tuple(names[at : at + size])
        at += size
    return Placement(placed)


def cluster(
    manifest: Manifest,
    boards: int,
    *,
    step_s: float = 0.01,
    speeds: Sequence[float] = (),
    link: VirtualLink | None = None,
    host: VirtualHost | None = None,
    **more: Any,
) -> VirtualCluster:
    """Boards on which a step of each block takes `step_s`, or that divided by the board's speed."""
    made = {}
    for number in range(boards):
        speed = speeds[number % len(speeds)] if speeds else 1.0
        train = {block.name: step_s / speed for block in manifest.blocks}
        evaluated = {name: value / 3 for name, value in train.items()}
        made[f"board{number}"] = VirtualBoard(f"board{number}", train, evaluated, **more)
    return VirtualCluster(made, host or VirtualHost(), link or VirtualLink())


@dataclass
class Streamed:
    """What came of a stream: the record, and the host's side of it."""

    record: VirtualRecord
    host: StreamHost

    @property
    def all(self) -> tuple[Any, ...]:
        """Everything that is known of it."""
        host, record = self.host, self.record
        counts = record.busy_ns.tolist(), record.steps.tolist(), record.applied.tolist(), record.board_busy_ns
        heard = record.first_new_ns, record.last_new_ns, record.news
        return record.spans, counts, heard, host.written, host.finals_ns, host.end_ns, host.regrouped


def streamed(
    way: type[ChainStream] | type[EventStream],
    manifest: Manifest,
    placement: Placement,
    boards: VirtualCluster,
    stream: PhantomStream,
    *,
    window: int = 8,
    dies_ns: dict[str, int] | None = None,
    until_ns: int = NEVER,
    wanted_ns: int = NEVER,
    snapshot_seconds: float = 0.0,
    seed: int = 0,
) -> Streamed:
    """One incarnation, computed one way or the other."""
    costs, dies_ns = BlockCosts.of(manifest, placement, boards), dies_ns or {}
    feeder = TokenFeeder(stream.tokens(), 1, snapshot_seconds, 0.0)
    host = StreamHost(feeder, costs, window, 0, until_ns, wanted_ns)
    record = VirtualRecord([block.name for block in manifest.blocks])
    stops = np.array([dies_ns.get(board, NEVER) for board in costs.boards], np.int64)
    incarnation = record.begin(costs, stops)
    way(costs, Draws(costs, seed, 1), dies_ns).run(host, incarnation)
    incarnation.end(min(host.end_ns, host.finals_ns))
    return Streamed(record, host)
