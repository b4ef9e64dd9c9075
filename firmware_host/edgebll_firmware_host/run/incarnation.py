"""One incarnation of a run: greet boards, place the blocks, restore the newest snapshot, stream from there.

It ends in one of three ways, see `endings`; every failure of a board or a link becomes a `Failed` here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from edgebll.kernel.errors import BoardError, ConfigError, LinkError
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport import Sender
from edgebll.kernel.wire import SPIKES
from edgebll_firmware_host.fleet.board_sessions import start_session
from edgebll_firmware_host.fleet.fleet import BoardLeaves, Fleet
from edgebll_firmware_host.fleet.rejoin_handshake import greet_at_start, greet_those_there
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import Placement, largest_token, place_among
from edgebll_firmware_host.policy.next_actions import CRAWLING_LINK, SLOWEST_LINK, RunState
from edgebll_firmware_host.policy.recovery_policy import GRACE_S
from edgebll_firmware_host.run.endings import Ending, Failed, Finished, Regroup
from edgebll_firmware_host.run.numerics_guard import Numerics
from edgebll_firmware_host.run.reconfiguration import CurrentIncarnation, Reconfiguration
from edgebll_firmware_host.run.report_inbox import ReportInbox
from edgebll_firmware_host.run.run_context import RunContext
from edgebll_firmware_host.run.stream_loop import StreamLoop
from edgebll_firmware_host.run.token_feeder import TokenFeeder
from edgebll_firmware_host.run_files.snapshot_store import Snapshot, newest_snapshot


class Incarnation:
    """From the first greeting to the last final state, the first failure, or a change that is wanted.

    Args:
        context: of the run; what becomes known here is noted in it.
        reconfiguration: which boards may be used; tells when a change is wanted.
        cluster: the inventory as it is now.
        fleet: boards, connected but not greeted.
        number: of the incarnation.
        turn: called once in every turn of the stream; whether this incarnation is to end, for a change.
    """

    def __init__(
        self,
        context: RunContext,
        reconfiguration: Reconfiguration,
        cluster: Cluster,
        fleet: Fleet,
        number: int,
        turn: Callable[[], bool],
    ) -> None:
        self._context, self._reconfiguration, self._cluster, self._fleet = context, reconfiguration, cluster, fleet
        self._number, self._turn = number, turn
        self._refused: set[str] = set()  # boards that did not answer
        self._snapshot: Snapshot | None = None

    def go(self) -> Ending:
        """Run it.

        Raises:
            ConfigError: the blocks fit on no boards, and nothing has begun yet; or a board is not what was asked for.
            StorageError: the disk refuses.
        """
        try:
            return self._start() or self._stream()
        except (LinkError, BoardError) as error:
            return Failed(error, self._fleet.suspect, self._fleet.reported)

    def _start(self) -> Regroup | None:
        """Greet, place, restore; the Regroup if other boards are needed for that."""
        context, fleet = self._context, self._fleet
        if regroup := self._greet():
            return regroup
        boards = self._reconfiguration.members.of(self._cluster)
        context.memory.heard(fleet.links)
        placement = self._place(boards)
        if isinstance(placement, Regroup):
            return placement
        for name in fleet.links.keys() - placement.blocks.keys():
            fleet.drop(name)
        context.outcome.placement = placement
        context.preflight.check(fleet, placement, self._cluster)
        context.outcome.versions = context.preflight.versions
        context.threads.apply(fleet.links, placement.blocks, context.numerics.began)
        self._snapshot = self._newest() if context.begun else None
        try:
            shipped = start_session(
                fleet,
                context.request.bundle,
                placement,
                keys=self._cluster.keys,
                snapshot=self._snapshot,
                chosen=context.preflight.chosen,
            )
        except BoardLeaves as leaving:
            if not context.begun:
                raise
            return Regroup(str(leaving))
        self._ready(shipped)
        return None

    def _greet(self) -> Regroup | None:
        """Greet the boards; where others can do without some at the start of a run, it begins anew with those."""
        context = self._context
        if context.begun or context.spares_needed:
            self._refused = set(greet_those_there(self._fleet, GRACE_S))
            context.lost |= self._refused
            return None
        missing = greet_at_start(self._fleet, context.say)
        context.missing |= missing
        self._refused = set(context.missing)
        return Regroup(f"{', '.join(sorted(missing))} did not answer") if missing else None

    def _place(self, boards: Sequence[BoardEntry]) -> Placement | Regroup:
        """Place the blocks among greeted boards, where they fit; Regroup if they need boards that were not greeted.

        Raises:
            ConfigError: they fit nowhere, and nothing has begun yet.
        """
        context, links = self._context, self._fleet.links
        room = self._reconfiguration.room = context.memory.room(links)
        placement = place_among(context.request.blocks, context.weights, boards, links, room, context.costs)
        problem = room.problem(placement.blocks, boards)
        if problem and not context.begun:
            if context.spares_needed or len(links) == len(boards):
                raise ConfigError(problem)
            context.spares_needed = True
            return Regroup(problem)
        context.memory.warn(problem)
        context.memory.doubt(links, placement.blocks)
        return placement

    def _newest(self) -> Snapshot | None:
        context = self._context
        context.snapshots.forget()
        context.snapshots.finish()
        return newest_snapshot(context.recorder.folder.path, context.request.bundle, context.say)

    def _ready(self, shipped: int) -> None:
        """All blocks are loaded and restored, after so many bytes of files were sent."""
        context = self._context
        context.outcome.bytes_shipped += shipped
        self._compare()
        context.begun = True
        if not context.ready_s:
            context.ready_s = time.monotonic()
            context.outcome.start_seconds = context.ready_s - context.started_s
        context.recorder.begin_incarnation()
        if context.recovery is not None:
            context.recovery.restored(self._step, time.monotonic(), shipped)
            recovery = context.recovery
            context.recorder.listener.recovered(recovery.reason, recovery.board, self._step, recovery.restore_s or 0.0)
            context.say(recovery.told(context.outcome.placement.blocks))

    def _compare(self) -> None:
        """Say which blocks are computed otherwise than at the run's beginning."""
        context = self._context
        placement = context.outcome.placement
        found = {block: Numerics.of(self._fleet.links[placement.board_of(block)]) for block in context.request.blocks}
        context.numerics.run = context.recorder.folder.path
        for sentence in context.numerics.note(found, self._step):
            context.say(sentence)
        context.outcome.unlike = context.numerics.unlike

    @property
    def _step(self) -> int:
        """The training step to go on from."""
        return self._snapshot.step if self._snapshot is not None else 0

    def _stream(self) -> Finished | Regroup:
        context, fleet, host, keys = self._context, self._fleet, self._cluster.host, self._cluster.keys
        request, placement = context.request, context.outcome.placement
        first, last = (fleet.links[placement.board_of(block)] for block in (request.blocks[0], request.blocks[-1]))
        key = first.entry.public_key if keys else None
        spikes = SPIKES in first.capabilities
        with Sender(first.data_endpoint, keys=keys, server_key=key, dead_s=host.deadline_s, spikes=spikes) as sender:
            token = largest_token(request.bundle)
            stall_s = request.stall_s + token / CRAWLING_LINK
            state = RunState(host.window, fleet.deadline_s, stall_s, fleet.boards, set(request.blocks), awake_s())
            state.idle_s = host.deadline_s + token / SLOWEST_LINK
            inbox = ReportInbox(request.bundle, placement, state, context.recorder, context.snapshots)
            feeder = TokenFeeder(request.stream(self._step), self._number, request.snapshot_seconds, awake_s())
            self._reconfiguration.begin(
                CurrentIncarnation(self._number, self._cluster, fleet, placement, feeder, self._refused)
            )
            ending = StreamLoop(feeder, fleet, (first, last), sender, state, inbox, self._turn, context.outcome).go()
            context.outcome.states = inbox.finals
            return ending
