"""Changes to a run while it goes on: boards that leave and come back, and what another terminal asks for.

A change is a new incarnation like that after a failure, but at a snapshot taken for it: so next to nothing is computed twice.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgebll.kernel.errors import ConfigError, LinkTimeout
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.support.awake_clock import awake_s
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.fleet.scout import Scout
from edgebll_firmware_host.inventory import BoardEntry, Cluster
from edgebll_firmware_host.policy.block_placement import Placement, place_among
from edgebll_firmware_host.policy.known_costs import KnownCosts
from edgebll_firmware_host.policy.membership import Membership
from edgebll_firmware_host.policy.memory_fit import Room
from edgebll_firmware_host.policy.wanted_change import WantedChange
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter
from edgebll_firmware_host.run.token_feeder import TokenFeeder
from edgebll_firmware_host.run_files.status_files import (
    ADD,
    DRAIN,
    ENDED,
    LET_GO,
    OF_ENTRY,
    BoardStatus,
    Request,
    Status,
    StatusFiles,
    this_machine,
)

#: How long to wait between two looks for boards where there is nothing else to do.
_LOOK_S = 0.05
#: States of boards that a run has, or may take.
_OF_THE_RUN = ("working", "leaving", "spare")


@dataclass(frozen=True)
class CurrentIncarnation:
    """One incarnation.

    Attributes:
        number: its number.
        cluster: the boards that the inventory names.
        fleet: the connections to those that are there.
        placement: which of them hosts which blocks.
        feeder: of its stream.
        refused: boards that did not answer when it began.
    """

    number: int
    cluster: Cluster
    fleet: Fleet
    placement: Placement
    feeder: TokenFeeder
    refused: Collection[str]


class Reconfiguration:
    """What goes on beside the stream. Close it when done.

    Args:
        run: the run folder.
        keys: the host's, if encrypted.
        blocks: names of the bundle's blocks, in stream order.
        weights: cost of each block, for the placement.
        recorder: of the run; its listener is told what happens.
        snapshots: takes the states of the run's snapshots.
        costs: what is known of boards and links, for the placement; None for nothing.

    Attributes:
        members: which boards may be used.
        room: what memory they have, as far as that is known.
    """

    def __init__(
        self,
        run: Path,
        keys: KeyPair | None,
        blocks: Sequence[str],
        weights: Sequence[float],
        recorder: Recorder,
        snapshots: SnapshotWriter,
        costs: KnownCosts | None = None,
    ) -> None:
        self.members = Membership()
        self.room: Room | None = None
        self._blocks, self._weights, self._costs = blocks, weights, costs
        self._recorder, self._snapshots = recorder, snapshots
        self._say: Callable[[str], None] = recorder.listener.said
        self._status_files, self._scout = StatusFiles(run), Scout(keys)
        self._now: CurrentIncarnation | None = None
        self._away: set[str] = set()
        self._identities: dict[str, str] = {}
        self._change = WantedChange()
        self.failures = 0

    def begin(self, now: CurrentIncarnation) -> None:
        """An incarnation begins; what was wanted before is done with it."""
        self._now, self._change = now, WantedChange()
        self._away = {*now.refused, *self.members.left}
        for name, link in now.fleet.links.items():
            identity = link.welcome.identity
            if self._identities.setdefault(name, identity) != identity:
                self._say(f"{name} is another device than before, or lost its state folder: it is sent its files again")
                self._identities[name] = identity
        for name in now.refused:
            self._scout.failed(name, time.monotonic())
        self._publish("running")

    def attend(self) -> bool:
        """Look after everything, if it is time; whether a change is wanted, and its snapshot is on the disk."""
        now, now_s = self._now, time.monotonic()
        if now is None:
            return False
        for name in now.fleet.leaving - self.members.left:
            self._leaves(name, now_s)
            self._want(f"{name} leaves")
        if self._status_files.due(now_s):
            self._status_files.move(self._recorder.folder.path)
            self._answer()
            self._welcome_back(now, now_s)
            self._publish("running")
        return self._change.due(self._snapshots.written)

    def _leaves(self, name: str, now_s: float) -> None:
        self.members.left.add(name)
        self._away.add(name)
        self._scout.left(name, now_s)

    def release(self, fleet: Fleet) -> None:
        """The incarnation is over: let go of the boards that the next one does not take."""
        for name in fleet.leaving - self.members.left:
            self._leaves(name, time.monotonic())
        for name in (self.members.drained | fleet.leaving) & fleet.links.keys():
            fleet.drop(name)

    def await_boards(self, cluster: Cluster, limit_s: float) -> list[BoardEntry]:
        """The boards to begin an incarnation with; if all have left, those that are the first to be back.

        Raises:
            LinkTimeout: none is within `limit_s`.
        """
        started_s = awake_s()
        while not (there := self.members.there(cluster)):
            now_s = time.monotonic()
            if awake_s() - started_s > limit_s:
                names = ", ".join(sorted(self.members.left))
                raise LinkTimeout(f"all boards left the run ({names}), and none came back within its patience; resume it later")
            self.members.left -= set(self._scout.found(self.members.usable(cluster), now_s))
            if self._status_files.due(now_s):
                self._answer()
                self._publish("recovering")
            time.sleep(_LOOK_S)
        return there

    def _answer(self) -> None:
        for name, request in self._status_files.requests():
            self._status_files.answer(name, *self._take(request))

    def _take(self, request: Request | str) -> tuple[bool, str]:
        """Act on a request; whether that could be done, and a sentence."""
        if self._now is None or isinstance(request, str):
            return False, str(request)
        cluster = self._now.cluster
        try:
            if request.action == DRAIN:
                self.members.drain(request.board, cluster)
            elif request.action == ADD and request.entry is not None and request.entry.name == request.board:
                self.members.add(request.entry, cluster)
                self._away.add(request.board)  # until it answers
                return True, f"{request.board} is used from the next snapshot after it answers, if blocks can be moved to it"
            else:
                return False, f"the request {request.action!r} is not known; use the same release"
        except ConfigError as error:
            return False, str(error)
        if request.board not in self._now.placement.blocks:
            return True, f"{request.board} has no blocks and gets none any more"
        self._want(f"{request.board} is drained")
        return True, f"the blocks of {request.board} are moved at a snapshot that is taken now"

    def _welcome_back(self, now: CurrentIncarnation, now_s: float) -> None:
        usable = self.members.usable(now.cluster)
        for name in self._scout.found([board for board in usable if board.name in self._away], now_s):
            self._away.discard(name)
            self.members.left.discard(name)
            there = {*now.fleet.links, name}
            if place_among(self._blocks, self._weights, usable, there, self.room, self._costs) != now.placement:
                self._want(f"{name} answers")

    def _want(self, why: str) -> None:
        if self._now is not None and self._change.want(self._now.feeder.step):
            self._say(f"{why}: blocks are placed anew at the next snapshot")
            self._now.feeder.wanted = True

    def failed(self) -> None:
        """The incarnation has failed, and another one follows."""
        self.failures += 1
        self._publish("recovering")

    def close(self) -> None:
        """The run is over."""
        self._publish(ENDED)
        self._status_files.close()
        self._scout.close()

    def _publish(self, phase: str) -> None:
        if self._now is None:
            return
        now, now_s = self._now, time.monotonic()
        boards = tuple(self._board(now, board) for board in self.members.of(now.cluster))
        if phase == ENDED:  # none of them does anything for this run any more
            boards = tuple(replace(board, state=LET_GO) if board.state in _OF_THE_RUN else board for board in boards)
        status = Status(
            written_s=time.time(),
            phase=phase,
            pid=os.getpid(),
            incarnation=now.number,
            step=self._recorder.steps,
            snapshot=self._snapshots.written,
            recoveries=self.failures,
            boards=boards,
            machine=this_machine(),
            ticks_s=time.monotonic(),
        )
        self._status_files.publish(status, now_s)

    def _board(self, now: CurrentIncarnation, entry: BoardEntry) -> BoardStatus:
        name, blocks = entry.name, now.placement.blocks.get(entry.name, ())
        known = now.fleet.boards.get(name)
        silent_s = max(0.0, awake_s() - known.last_heard_s) if known is not None else None
        state = "drained" if name in self.members.drained else "working" if blocks else "spare"
        state = "leaving" if name in now.fleet.leaving else state
        state = "away" if name in self._away and not blocks else state
        return BoardStatus(
            name=name,
            state=state,
            blocks=blocks,
            silent_s=silent_s,
            **{field: getattr(entry, field) for field in OF_ENTRY},
        )
