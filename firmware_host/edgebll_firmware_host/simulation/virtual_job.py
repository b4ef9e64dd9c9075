"""What a run in virtual time is told, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from edgebll.kernel.spec.manifest import Manifest
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.recovery_policy import Recovery
from edgebll_firmware_host.simulation.incidents import Incidents
from edgebll_firmware_host.simulation.phantom_stream import PhantomStream
from edgebll_firmware_host.simulation.stream_record import VirtualRecord
from edgebll_firmware_host.simulation.virtual_cluster import VirtualCluster

#: Places all blocks on those of the boards whose names are given, by the placement of real runs.
Placer = Callable[[Sequence[BoardEntry], Collection[str]], Placement]


@dataclass(frozen=True)
class VirtualJob:
    """A run in virtual time.

    Attributes:
        manifest: of the bundle.
        inventory: its boards and the host's settings; boards that join later are among them.
        costs: how long things take.
        placer: places blocks.
        stream: what is streamed.
        incidents: what happens to boards.
        snapshot_seconds: between snapshots, besides those of the stream; 0 for none.
        seed: of everything that is left to chance.
    """

    manifest: Manifest
    inventory: Cluster
    costs: VirtualCluster
    placer: Placer
    stream: PhantomStream
    incidents: Incidents = field(default_factory=Incidents)
    snapshot_seconds: float = 0.0
    seed: int = 0


@dataclass
class VirtualOutcome:
    """What came of it; times are seconds from when all blocks were ready for the first time.

    Attributes:
        record: of all blocks.
        placements: of each incarnation, and since when.
        recoveries: failures, and what each cost.
        snapshots: (training step, when it was on the disk).
        start_s: until all blocks were ready.
        end_s: when the run was over.
        given_up: why it came to no end; empty if it did.
        shipped_bytes: of files that the host sent.
        away_s: board -> seconds in which it was gone.
    """

    record: VirtualRecord
    placements: list[tuple[float, Placement]] = field(default_factory=list)
    recoveries: list[Recovery] = field(default_factory=list)
    snapshots: list[tuple[int, float]] = field(default_factory=list)
    start_s: float = 0.0
    end_s: float = 0.0
    given_up: str = ""
    shipped_bytes: int = 0
    away_s: dict[str, float] = field(default_factory=dict)
