"""A run in virtual time: a row of incarnations, as `run.cluster_run` makes them, on a clock that costs nothing.

Who hosts what, when a board counts as lost, whether the run goes on, when blocks are placed anew and from which step: all that
is decided by the code of `policy`, which decides it for real runs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgebll.kernel.errors import BoardError, EdgebllError, LinkTimeout
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import Placement
from edgebll_firmware_host.policy.membership import Membership
from edgebll_firmware_host.policy.recovery_policy import Patience, Recovery
from edgebll_firmware_host.run.token_feeder import TokenFeeder
from edgebll_firmware_host.simulation.block_costs import NEVER, BlockCosts, nanoseconds
from edgebll_firmware_host.simulation.chain_stream import ChainStream
from edgebll_firmware_host.simulation.changes import ChangesAhead
from edgebll_firmware_host.simulation.draws import Draws
from edgebll_firmware_host.simulation.event_stream import EventStream
from edgebll_firmware_host.simulation.failure_notice import noticed_ns
from edgebll_firmware_host.simulation.incidents import Fates, Outage
from edgebll_firmware_host.simulation.session_start import SessionStart
from edgebll_firmware_host.simulation.stream_host import StreamHost
from edgebll_firmware_host.simulation.stream_record import VirtualRecord
from edgebll_firmware_host.simulation.virtual_job import VirtualJob, VirtualOutcome


@dataclass(frozen=True)
class _Failed:
    """An incarnation failed: why, and when that was noticed."""

    error: EdgebllError
    at_ns: int
    board: str | None = None


class VirtualRun:
    """One run.

    Args:
        job: what.
    """

    def __init__(self, job: VirtualJob) -> None:
        self._job, self._host = job, job.inventory.host
        names = [board.name for board in job.inventory.boards]
        self._fates = Fates(job.incidents, names, job.seed)
        late = job.incidents.joins
        there = tuple(board for board in job.inventory.boards if board.name not in late)
        self._cluster = Cluster(there, self._host)
        self._members = Membership()
        self._changes = ChangesAhead(job, self._fates)
        self._start = SessionStart(job.manifest, job.costs)
        self._patience = Patience(self._host.patience_s, 0.0)
        self._recovery: Recovery | None = None
        self._number, self._begun = 0, False
        self.outcome = VirtualOutcome(VirtualRecord([block.name for block in job.manifest.blocks]))

    def go(self) -> VirtualOutcome:
        """Run incarnations until one comes to the end of the stream, or the run is given up.

        Raises:
            ConfigError: what happens to boards cannot, e.g. the last one is drained.
        """
        at_ns, over = 0, False
        while not over:
            ended = self._incarnation(at_ns)
            at_ns, over = (ended.at_ns, not self._bears(ended)) if isinstance(ended, _Failed) else ended
            if not over:
                self._changes.apply(self._members, self._cluster, at_ns)
        self.outcome.end_s = at_ns / 1e9
        self.outcome.away_s = {board: self._away_s(board, at_ns) for board in self._job.costs.boards}
        return self.outcome

    def _incarnation(self, begin_ns: int) -> _Failed | tuple[int, bool]:
        """Greet, place, restore, stream; the failure, or when it ended and whether the run did."""
        self._number += 1
        listed = self._listed()
        gone = [board.name for board in listed if self._fates.outage_at(board.name, begin_ns)]
        there = [board.name for board in listed if board.name not in gone]
        if not there:
            deadline_ns = nanoseconds(self._host.deadline_s)
            return _Failed(LinkTimeout("no board answers"), begin_ns + deadline_ns)
        placement = self._job.placer(self._members.of(self._cluster), there)
        step = self._step(begin_ns)
        started = self._start.begin(placement, waits=bool(gone))
        ready_ns = begin_ns + started.took_ns if self._begun else 0
        self.outcome.shipped_bytes += started.shipped_bytes
        noticed = self._first_loss(placement, begin_ns)
        if noticed is not None and noticed.at_ns <= ready_ns:
            return noticed
        self._ready(placement, ready_ns, started.took_ns, started.shipped_bytes, step)
        until_ns = noticed.at_ns if noticed is not None else NEVER
        wanted_ns = self._changes.first(placement, self._members, self._cluster, (ready_ns, until_ns), gone)
        host = self._stream(placement, step, (begin_ns, ready_ns, until_ns), wanted_ns)
        if host.finals_ns < NEVER:
            return host.finals_ns, True
        if host.regrouped or noticed is None:
            return host.end_ns, False
        return noticed

    def _listed(self) -> list[BoardEntry]:
        """The boards that are greeted: at first those that are needed, later all that may be used."""
        if self._begun:
            return self._members.there(self._cluster)
        boards = self._cluster.boards
        placement = self._job.placer(boards, [board.name for board in boards])
        return [board for board in boards if board.name in placement.blocks]

    def _step(self, at_ns: int) -> int:
        """The training step of the newest snapshot on the disk."""
        return max((step for step, written_s in self.outcome.snapshots if written_s * 1e9 <= at_ns), default=0)

    def _first_loss(self, placement: Placement, after_ns: int) -> _Failed | None:
        """The board whose loss is noticed first."""
        deadline_s = self._host.deadline_s
        outages = [one for board in placement.blocks if (one := self._fates.next_outage(board, after_ns - 1))]
        if not outages:
            return None
        at_ns, outage = min(((noticed_ns(one, after_ns, deadline_s), one) for one in outages), key=lambda pair: pair[0])
        return _Failed(BoardError(_told(outage, at_ns), outage.board), at_ns, outage.board)

    def _ready(self, placement: Placement, ready_ns: int, took_ns: int, shipped: int, step: int) -> None:
        if not self._begun:
            self.outcome.start_s = took_ns / 1e9
        self._begun = True
        self.outcome.placements.append((ready_ns / 1e9, placement))
        if self._recovery is not None:
            self._recovery.restored(step, ready_ns / 1e9, shipped)

    def _stream(self, placement: Placement, step: int, span_ns: tuple[int, int, int], wanted_ns: int) -> StreamHost:
        job, outcome, (begin_ns, ready_ns, until_ns) = self._job, self.outcome, span_ns
        costs = BlockCosts.of(job.manifest, placement, job.costs)
        outages = {board: self._fates.next_outage(board, begin_ns - 1) for board in placement.blocks}
        dies_ns = {board: one.from_ns for board, one in outages.items() if one is not None}
        feeder = TokenFeeder(job.stream.tokens(step), self._number, job.snapshot_seconds, ready_ns / 1e9)
        host = StreamHost(feeder, costs, self._host.window, ready_ns, until_ns, wanted_ns)
        record = outcome.record.begin(costs, np.array([dies_ns.get(board, NEVER) for board in costs.boards], np.int64))
        draws = Draws(costs, job.seed, self._number)
        stream = ChainStream(costs, draws, dies_ns) if costs.straight else EventStream(costs, draws, dies_ns, step)
        stream.run(host, record)
        record.end(min(host.end_ns, host.finals_ns))
        outcome.snapshots += [(taken, written_ns / 1e9) for taken, written_ns in host.written]
        if self._recovery is not None and outcome.record.first_new_ns < host.end_ns:
            self._recovery.replayed(outcome.record.first_new_ns / 1e9)
            self._recovery = None
        return host

    def _bears(self, failed: _Failed) -> bool:
        """Whether another incarnation follows a failure."""
        record, at_s = self.outcome.record, failed.at_ns / 1e9
        self._patience.progress(record.news, record.last_new_ns / 1e9)
        if not self._begun or not self._patience.bears(failed.error, at_s):
            self.outcome.given_up = str(failed.error)
            return False
        self._recovery = Recovery(str(failed.error), failed.board, at_s)
        self.outcome.recoveries.append(self._recovery)
        if failed.board is not None:
            self._start.lost(failed.board)
        return True

    def _away_s(self, board: str, end_ns: int) -> float:
        """How long a board was gone by then."""
        away, at_ns = 0, -1
        while (one := self._fates.next_outage(board, at_ns)) is not None and one.from_ns < end_ns:
            away, at_ns = away + min(one.back_ns, end_ns) - one.from_ns, one.from_ns
        return away / 1e9


def _told(outage: Outage, at_ns: int) -> str:
    if not outage.silent:
        return f"board {outage.board} vanished: the connection broke; check the board and the network"
    return f"board {outage.board} has been silent for {(at_ns - outage.from_ns) / 1e9:.0f} s; check the board and run again"
