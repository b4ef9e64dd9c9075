"""What passes from one incarnation of a run to the next: what is known of its boards, and what came of it so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from edgebll_firmware_host.inventory import Cluster
from edgebll_firmware_host.policy.block_placement import block_weights
from edgebll_firmware_host.policy.known_costs import KnownCosts
from edgebll_firmware_host.policy.memory_need import needs
from edgebll_firmware_host.policy.recovery_policy import Recovery
from edgebll_firmware_host.policy.thread_cap import ThreadCap
from edgebll_firmware_host.policy.workload import Workload
from edgebll_firmware_host.run.memory_watch import MemoryWatch
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.numerics_guard import NumericsGuard
from edgebll_firmware_host.run.run_preflight import RunPreflight
from edgebll_firmware_host.run.run_request import Outcome, RunRequest
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter


@dataclass
class RunContext:
    """What the incarnations of a run share; make it with `of`.

    Attributes:
        request: what is to run.
        weights: cost of each block, for the placement.
        costs: what is known of boards and links, for the same.
        recorder: takes every Report; its listener is told what the user should know.
        snapshots: writes and finds snapshots.
        outcome: what came of the run so far.
        numerics: notices blocks that are computed otherwise than when the run began.
        threads: keeps numbers of threads as they were when the run began.
        memory: where blocks fit, and who was killed for want of memory.
        preflight: whether boards reach each other, tried once.
        begun: whether all blocks were ready once, here or in an earlier process: from then on failures are recovered from.
        spares_needed: whether the run begins with all boards, spares included, for want of memory.
        missing: boards that did not answer when the run began; it begins without them.
        lost: boards given up since something was last done that had not been done before.
        recovery: the one in progress.
        started_s: when the run began in this process, of the monotonic clock.
        ready_s: when all blocks were ready for the first time in this process; 0.0 before.
    """

    request: RunRequest
    weights: list[float]
    costs: KnownCosts
    recorder: Recorder
    snapshots: SnapshotWriter
    outcome: Outcome
    numerics: NumericsGuard
    threads: ThreadCap
    memory: MemoryWatch
    preflight: RunPreflight
    begun: bool
    spares_needed: bool = False
    missing: set[str] = field(default_factory=set)
    lost: set[str] = field(default_factory=set)
    recovery: Recovery | None = None
    started_s: float = field(default_factory=time.monotonic)
    ready_s: float = 0.0

    @classmethod
    def of(cls, request: RunRequest, recorder: Recorder, snapshots: SnapshotWriter, cluster: Cluster) -> RunContext:
        """A run that is to begin; of `cluster` counts what is known of its links, and how many tokens are in flight at most."""
        say, window = recorder.listener.said, cluster.host.window
        return cls(
            request=request,
            weights=request.weights or block_weights(request.bundle),
            costs=KnownCosts(Workload.of(request.bundle, window, request.weights), cluster.links, cluster.calibration),
            recorder=recorder,
            snapshots=snapshots,
            outcome=Outcome(),
            numerics=NumericsGuard(recorder.folder.path),
            threads=ThreadCap(say),
            memory=MemoryWatch(needs(request.bundle, window), say),
            preflight=RunPreflight(request, recorder),
            begun=request.resumed,
        )

    @property
    def say(self) -> Callable[[str], None]:
        """Takes a sentence for the user."""
        return self.recorder.listener.said
