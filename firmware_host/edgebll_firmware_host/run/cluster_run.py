"""A run over boards: a row of incarnations, each from the last snapshot, until one of them comes to the end of the stream.

Nothing of a failed incarnation is mended. The next one begins with fresh connections to the boards that answer, places the
blocks among them, restores the newest whole snapshot and replays the stream from there; boards drop whatever still comes of an
earlier one. Since a block's state is a function of the stream before it, the bits are those of a run without failures.
"""

from __future__ import annotations

import time

from edgebll.kernel.support.awake_clock import awake_s
from edgebll_firmware_host.engines.local_processes import Engine
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.fleet.preflight_findings import PreflightError
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import place, place_among
from edgebll_firmware_host.policy.recovery_policy import Absence, Patience, Recovery
from edgebll_firmware_host.run.endings import Ending, Failed, Finished
from edgebll_firmware_host.run.incarnation import Incarnation
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.numerics_guard import warning
from edgebll_firmware_host.run.reconfiguration import Reconfiguration
from edgebll_firmware_host.run.run_context import RunContext
from edgebll_firmware_host.run.run_request import Outcome, RunRequest
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter


def run_on_boards(request: RunRequest, engine: Engine, recorder: Recorder) -> Outcome:
    """Stream tokens through a bundle's blocks on boards.

    Args:
        request: what.
        engine: provides the boards.
        recorder: takes every Report.

    Raises:
        LinkError: boards cannot be reached or messages are lost. BoardError: boards failed, ended or fell silent. Either is
            raised if it comes before all blocks were ready for the first time, or where the run made no progress for
            `patience_s`; all boards are let go then.
    """
    with engine as cluster, SnapshotWriter(request.bundle, recorder, request.keep_snapshots) as snapshots:
        return _Run(RunContext.of(request, recorder, snapshots, cluster), engine, cluster).go()


class _Run:
    """All incarnations of a run, one after another."""

    def __init__(self, context: RunContext, engine: Engine, cluster: Cluster) -> None:
        self._context, self._engine, self._cluster = context, engine, cluster
        request, recorder = context.request, context.recorder
        place(request.blocks, context.weights, cluster.boards)  # refuses an inventory with wrong pins, before anything is done
        context.memory.plan_ahead(cluster.boards)
        self._patience, self._absence = Patience(cluster.host.patience_s, awake_s()), Absence(context.say)
        recorder.account.outcome = context.outcome
        self._reconfiguration = Reconfiguration(
            recorder.folder.path, cluster.keys, request.blocks, context.weights, recorder, context.snapshots, context.costs
        )

    def go(self) -> Outcome:
        """Run incarnations until one comes to the end of the stream."""
        if told := warning(self._cluster.boards):
            self._context.say(told)
        try:
            while not self._finishes():
                self._cluster = self._engine.mend(self._context.lost)
        finally:
            self._reconfiguration.close()
        self._context.outcome.stream_seconds = time.monotonic() - self._context.ready_s
        return self._context.outcome

    def _finishes(self) -> bool:
        """Run one incarnation; whether it came to the end of the stream."""
        context = self._context
        number = context.recorder.folder.next_incarnation()
        left_s = self._patience.left_s(awake_s())
        entries = self._reconfiguration.await_boards(self._cluster, left_s) if context.begun else self._first_boards()
        connecting = open_fleet(
            entries,
            context.request.run,
            self._cluster.keys,
            deadline_s=self._cluster.host.deadline_s,
            check=self._engine.check,
            tell=context.say,
            incarnation=number,
            begun=context.begun,
        )
        with connecting as fleet:
            incarnation = Incarnation(context, self._reconfiguration, self._cluster, fleet, number, self._turn)
            return self._is_over(incarnation.go(), fleet)

    def _first_boards(self) -> list[BoardEntry]:
        """The boards a run needs at its start; the others are spares, unless their memory is needed."""
        context = self._context
        boards = [entry for entry in self._cluster.boards if entry.name not in context.missing]
        if context.spares_needed:
            return boards
        names = [entry.name for entry in boards]
        placement = place_among(context.request.blocks, context.weights, boards, names, costs=context.costs)
        return [entry for entry in boards if entry.name in placement.blocks]

    def _turn(self) -> bool:
        """See what there is to do beside the stream; whether the incarnation is to end, for a change."""
        self._absence.tell()
        context = self._context
        if self._patience.progress(context.recorder.news, awake_s()):
            # What was lost is made up for.
            context.lost.clear()
            context.memory.progress()
            if context.recovery is not None:
                context.recovery.replayed(time.monotonic())
                context.recovery = None
        return self._reconfiguration.attend()

    def _is_over(self, ending: Ending, fleet: Fleet) -> bool:
        """Whether the end of an incarnation is that of the run; otherwise its boards are left to the next one.

        Raises:
            LinkError, BoardError: the incarnation failed, and another one would, too.
        """
        if isinstance(ending, Finished):
            return True
        if isinstance(ending, Failed) and not self._bears(ending):
            raise ending.error
        self._reconfiguration.release(fleet)
        if isinstance(ending, Failed):
            self._recover(ending)
        fleet.leave()
        return False

    def _bears(self, failed: Failed) -> bool:
        """Whether another incarnation is to follow."""
        if not self._context.begun or self._context.memory.hopeless or isinstance(failed.error, PreflightError):
            return False
        return self._patience.bears(failed.error, awake_s(), reported=failed.reported)

    def _recover(self, failed: Failed) -> None:
        """Note what failed: the next incarnation does without it."""
        context = self._context
        if failed.suspect is not None:
            context.lost.add(failed.suspect)
            self._reconfiguration.members.unfit |= {failed.suspect} if failed.reported else set()
        context.recovery = Recovery(str(failed.error), failed.suspect, time.monotonic())
        context.outcome.recoveries.append(context.recovery)
        context.recorder.account.write()
        self._reconfiguration.failed()
        self._absence.tell()
        context.say(f"{failed.error} - recovering")
