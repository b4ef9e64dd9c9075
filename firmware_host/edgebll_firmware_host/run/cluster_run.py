"""A run over boards: a row of incarnations, each from the last snapshot, until one of them comes to the end of the stream.

Nothing of a failed incarnation is mended. The next one begins with fresh connections to the boards that answer, places the
blocks among them, restores the newest whole snapshot and replays the stream from there; boards drop whatever still comes of an
earlier one. Since a block's state is a function of the stream before it, the bits are those of a run without failures.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from edgebll.kernel.errors import BoardError, ConfigError, EdgebllError, LinkError
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport import Sender
from edgebll_firmware_host.engines.local_processes import Engine
from edgebll_firmware_host.fleet.board_sessions import open_fleet, start_session
from edgebll_firmware_host.fleet.fleet import BoardLeaves, Fleet
from edgebll_firmware_host.fleet.preflight_findings import PreflightError
from edgebll_firmware_host.fleet.rejoin_handshake import greet_at_start, greet_those_there
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import Placement, block_weights, largest_token, place, place_among
from edgebll_firmware_host.policy.memory_need import needs
from edgebll_firmware_host.policy.next_actions import SLOWEST_LINK, RunState
from edgebll_firmware_host.policy.recovery_policy import Absence, Patience, Recovery
from edgebll_firmware_host.policy.thread_cap import ThreadCap
from edgebll_firmware_host.run.incarnation import Incarnation
from edgebll_firmware_host.run.memory_watch import MemoryWatch
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.numerics_guard import Alike, How, warning
from edgebll_firmware_host.run.reconfiguration import Live, Now, Regroup
from edgebll_firmware_host.run.report_inbox import Inbox
from edgebll_firmware_host.run.run_plan import Outcome, RunPlan
from edgebll_firmware_host.run.run_preflight import RunPreflight
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter
from edgebll_firmware_host.run.token_feeder import Feeder
from edgebll_firmware_host.run_files.snapshot_store import Snapshot, newest_snapshot

#: How long a new incarnation waits for boards that do not answer, once another one has.
GRACE_S = 1.0


def run_on_boards(plan: RunPlan, engine: Engine, recorder: Recorder) -> Outcome:
    """Stream tokens through a bundle's blocks on boards.

    Args:
        plan: what.
        engine: provides the boards.
        recorder: takes every Report.

    Raises:
        LinkError: boards cannot be reached or messages are lost. BoardError: boards failed, ended or fell silent. Either is
            raised if it comes before all blocks were ready for the first time, or where the run made no progress for
            `patience_s`; all boards are let go then.
    """
    with engine as cluster, SnapshotWriter(plan.bundle, recorder, plan.keep_snapshots) as snapshots:
        return _Run(plan, engine, cluster, recorder, snapshots).go()


class _Run:
    """All incarnations of a run, one after another."""

    def __init__(self, plan: RunPlan, engine: Engine, cluster: Cluster, recorder: Recorder, snapshots: SnapshotWriter) -> None:
        self._plan, self._engine, self._cluster = plan, engine, cluster
        self._recorder, self._snapshots = recorder, snapshots
        self._weights = plan.weights or block_weights(plan.bundle)
        place(plan.blocks, self._weights, cluster.boards)  # refuses an inventory with wrong pins, before anything is done
        self._patience = Patience(cluster.host.patience_s, awake_s())
        self._outcome, self._alike = Outcome(), Alike(recorder.folder.path)
        self._threads, self._absence = ThreadCap(recorder.listener.said), Absence(recorder.listener.said)
        self._memory = MemoryWatch(needs(plan.bundle, cluster.host.window), recorder.listener.said)
        self._all_at_first = False  # whether spares are needed from the start, for want of memory
        recorder.account.outcome = self._outcome
        self._began_s = 0.0
        self._ready_before = plan.resumed  # whether a failure is one to recover from
        self._lost: set[str] = set()  # boards given up since the last success
        self._missing: set[str] = set()  # boards that did not answer when the run began
        self._preflight = RunPreflight(plan, recorder)
        self._refused: set[str] = set()  # boards that did not answer when the incarnation began
        self._live = Live(recorder.folder.path, cluster.keys, plan.blocks, self._weights, recorder, snapshots)
        self._recovery: Recovery | None = None  # the one in progress
        self._borne: EdgebllError | None = None  # the failure that ends this incarnation, but not the run

    def go(self) -> Outcome:
        started_s = time.monotonic()
        if told := warning(self._cluster.boards):
            self._recorder.listener.said(told)
        try:
            while not self._whole(started_s):
                self._cluster = self._engine.mend(self._lost)
        finally:
            self._live.close()
        self._outcome.stream_seconds = time.monotonic() - self._began_s
        return self._outcome

    def _whole(self, started_s: float) -> bool:
        """Run one incarnation; whether it came to the end of the stream."""
        try:
            self._incarnation(started_s)
        except Regroup:
            return False
        except (LinkError, BoardError) as error:
            if self._borne is not error:
                raise
            self._borne = None
            return False
        return True

    def _incarnation(self, started_s: float) -> None:
        number = self._recorder.folder.next_incarnation()
        left_s = self._patience.left_s(awake_s())
        entries = self._live.await_boards(self._cluster, left_s) if self._ready_before else self._first_boards()
        host, tell = self._cluster.host, self._recorder.listener.said
        how = (host.deadline_s, self._engine.check, tell, number)
        with open_fleet(entries, self._plan.run, self._cluster.keys, *how, begun=self._ready_before) as fleet:
            try:
                self._start(fleet, started_s)
                self._stream(fleet, number)
            except Regroup:
                fleet.abandoned = True
                self._live.release(fleet)
                raise
            except (LinkError, BoardError) as error:
                fleet.abandoned = self._may_recover(error, fleet)
                raise

    def _first_boards(self) -> list[BoardEntry]:
        """The boards a run needs at its start; the others are spares, unless their memory is needed."""
        boards = [entry for entry in self._cluster.boards if entry.name not in self._missing]
        if self._all_at_first:
            return boards
        placement = place(self._plan.blocks, self._weights, boards)
        return [entry for entry in boards if entry.name in placement.blocks]

    def _start(self, fleet: Fleet, started_s: float) -> None:
        """Greet, place, restore."""
        if self._ready_before or self._all_at_first:
            self._refused = set(greet_those_there(fleet, GRACE_S))
            self._lost |= self._refused
        else:
            self._greet_first(fleet)
        boards = self._live.members.of(self._cluster)
        self._memory.heard(fleet.links)
        placement = self._place(boards, fleet)
        for name in fleet.links.keys() - placement.blocks.keys():
            fleet.drop(name)
        self._outcome.placement = placement
        self._preflight.check(fleet, placement, self._cluster)
        self._outcome.versions = self._preflight.versions
        self._threads.apply(fleet.links, placement.blocks, self._alike.began)
        self._snapshot = self._newest() if self._ready_before else None
        how = (self._cluster.keys, self._snapshot, self._preflight.chosen)
        try:
            shipped = start_session(fleet, self._plan.bundle, placement, *how)
        except BoardLeaves as error:
            if not self._ready_before:
                raise
            raise Regroup from error
        self._outcome.bytes_shipped += shipped
        self._compare(fleet)
        if not self._began_s:
            self._outcome.start_seconds, self._began_s = time.monotonic() - started_s, time.monotonic()
        self._ready_before = True
        self._recorder.begin_incarnation()
        self._say_restored(shipped)

    def _place(self, boards: Sequence[BoardEntry], fleet: Fleet) -> Placement:
        """Place the blocks among greeted boards, where they fit.

        Raises:
            ConfigError: they fit nowhere, and nothing has begun yet. Regroup: not on these boards, but there are more.
        """
        room = self._live.room = self._memory.room(fleet.links)
        placement = place_among(self._plan.blocks, self._weights, boards, fleet.links, room)
        problem = room.problem(placement.blocks, boards)
        if problem and not self._ready_before:
            if self._all_at_first or len(fleet.links) == len(boards):
                raise ConfigError(problem)
            self._all_at_first = True
            raise Regroup
        self._memory.warn(problem)
        self._memory.doubt(fleet.links, placement.blocks)
        return placement

    def _greet_first(self, fleet: Fleet) -> None:
        """Greet the boards of the first incarnation; where others can do without some, begin anew with those."""
        missing = greet_at_start(fleet, self._recorder.listener.said)
        self._refused = self._missing = self._missing | missing
        if missing:
            raise Regroup

    def _compare(self, fleet: Fleet) -> None:
        """Say which blocks are computed otherwise than at the run's beginning."""
        placement = self._outcome.placement
        found = {block: How.of(fleet.links[placement.board_of(block)]) for block in self._plan.blocks}
        self._alike.run = self._recorder.folder.path
        for sentence in self._alike.note(found, self._snapshot.step if self._snapshot is not None else 0):
            self._recorder.listener.said(sentence)
        self._outcome.unlike = self._alike.unlike

    def _newest(self) -> Snapshot | None:
        self._snapshots.forget()
        self._snapshots.finish()
        return newest_snapshot(self._recorder.folder.path, self._plan.bundle, self._recorder.listener.said)

    def _say_restored(self, shipped: int) -> None:
        if self._recovery is not None:
            self._recovery.restored(self._snapshot.step if self._snapshot is not None else 0, time.monotonic(), shipped)
            self._recorder.listener.said(self._recovery.told(self._outcome.placement.blocks))

    def _stream(self, fleet: Fleet, number: int) -> None:
        plan, placement = self._plan, self._outcome.placement
        first, last = (fleet.links[placement.board_of(block)] for block in (plan.blocks[0], plan.blocks[-1]))
        key = first.entry.public_key if self._cluster.keys else None
        host = self._cluster.host
        with Sender(first.data_endpoint, keys=self._cluster.keys, server_key=key, dead_s=host.deadline_s) as sender:
            state = RunState(host.window, fleet.deadline_s, plan.stall_s, fleet.boards, set(plan.blocks), awake_s())
            state.idle_s = host.deadline_s + largest_token(plan.bundle) / SLOWEST_LINK
            inbox = Inbox(plan.bundle, placement, state, self._recorder, self._snapshots)
            tokens = plan.stream(self._snapshot.step if self._snapshot is not None else 0)
            feeder = Feeder(tokens, number, plan.snapshot_s, awake_s())
            self._live.begin(Now(number, self._cluster, fleet, placement, feeder, self._refused))
            Incarnation(feeder, fleet, (first, last), sender, state, inbox, self._turn, self._outcome).go()
            self._outcome.states = inbox.finals

    def _turn(self) -> None:
        """Notice progress: what was lost is made up for when something new is done. Then see what else there is to do."""
        self._absence.tell()
        if self._patience.progress(self._recorder.news, awake_s()):
            self._lost.clear()
            self._memory.progress()
            if self._recovery is not None:
                self._recovery.replayed(time.monotonic())
                self._recovery = None
        self._live.attend()

    def _may_recover(self, error: EdgebllError, fleet: Fleet) -> bool:
        """Whether another incarnation is to follow; if so, what failed is noted."""
        hopeless = not self._ready_before or self._memory.hopeless or isinstance(error, PreflightError)
        if hopeless or not self._patience.bears(error, awake_s(), reported=fleet.reported):
            return False
        if fleet.suspect is not None:
            self._lost.add(fleet.suspect)
            self._live.members.unfit |= {fleet.suspect} if fleet.reported else set()
        self._borne, self._recovery = error, Recovery(str(error), fleet.suspect, time.monotonic())
        self._outcome.recoveries.append(self._recovery)
        self._recorder.account.write()
        self._live.release(fleet)
        self._live.failed()
        self._absence.tell()
        self._recorder.listener.said(f"{error} - recovering")
        return True
