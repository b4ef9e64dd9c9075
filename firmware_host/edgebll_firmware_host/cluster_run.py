"""A run over boards: place the blocks, start the session, feed the stream, collect the final states.

What to do next is decided by `planner.plan`; here are only the sockets and the clock.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from edgebll.bundle import Bundle
from edgebll.codec import payload_bytes
from edgebll.errors import LinkTimeout
from edgebll.state import State as BlockState
from edgebll.transport import Sender
from edgebll.wire import END, SNAPSHOT, Token
from edgebll_firmware_host.board_link import BoardLink
from edgebll_firmware_host.engines import Engine
from edgebll_firmware_host.fleet import Fleet, open_fleet
from edgebll_firmware_host.inbox import Inbox
from edgebll_firmware_host.placement import Placement, block_weights, place
from edgebll_firmware_host.planner import (
    Action,
    DeclareBlocked,
    DeclareLost,
    DeclareStalled,
    Feed,
    Finish,
    RunState,
    SendPing,
    plan,
)
from edgebll_firmware_host.recorder import Recorder
from edgebll_firmware_host.session import start_session
from edgebll_firmware_host.snapshots import SnapshotWriter

#: Boards answering, but nothing done for so long: a message was lost on a broken link.
STALL_S = 300.0
#: How long an attempt to feed may hold up everything else.
_SEND_S = 0.05


@dataclass
class Outcome:
    """What a run over boards ended with.

    Attributes:
        states: block -> final state. placement: board -> blocks. start_seconds: until all blocks were loaded.
        stream_seconds: from the first token to the last final state. bytes_streamed, bytes_shipped: sent by the host as
            tokens and as files.
    """

    states: dict[str, BlockState] = field(default_factory=dict)
    placement: Placement = field(default_factory=lambda: Placement({}))
    start_seconds: float = 0.0
    stream_seconds: float = 0.0
    bytes_streamed: int = 0
    bytes_shipped: int = 0


def run_on_boards(
    bundle: Bundle,
    run: str,
    tokens: Iterator[Token],
    engine: Engine,
    recorder: Recorder,
    *,
    weights: list[float] | None = None,
    stall_s: float = STALL_S,
) -> Outcome:
    """Stream tokens through a bundle's blocks on boards.

    Args:
        bundle: the blocks, with the states to start from. run: identifier of the run. tokens: see `edgebll.stream`.
        engine: provides the boards. recorder: takes every Report.
        weights: cost of each block for the placement, e.g. measured seconds; None for an estimate.
        stall_s: time without progress, all boards answering, after which a message counts as lost.

    Raises:
        LinkError: a board cannot be reached or messages are lost. BoardError: a board failed, ended or fell silent; all
        others are stopped then.
    """
    names = [block.name for block in bundle.manifest.blocks]
    with engine as cluster:
        placement = place(names, weights or block_weights(bundle), cluster.boards)
        used = [entry for entry in cluster.boards if entry.name in placement.blocks]
        tell = recorder.listener.said
        with open_fleet(used, run, cluster.keys, cluster.host.deadline_s, engine.check, tell) as fleet:
            outcome, started = Outcome(placement=placement), time.monotonic()
            outcome.bytes_shipped = start_session(fleet, bundle, placement, cluster.keys)
            outcome.start_seconds = time.monotonic() - started
            first = fleet.links[placement.board_of(names[0])]
            key = first.entry.public_key if cluster.keys else None
            with (
                Sender(first.data_endpoint, keys=cluster.keys, server_key=key) as sender,
                SnapshotWriter(recorder.folder.path, recorder.blocks) as snapshots,
            ):
                state = _initial(fleet, names, cluster.host.window, stall_s)
                inbox = Inbox(bundle, placement, state, recorder, snapshots)
                last = fleet.links[placement.board_of(names[-1])]
                _Loop(tokens, fleet, (first, last), sender, state, inbox, outcome).go()
                outcome.states = inbox.finals
        return outcome


def _initial(fleet: Fleet, blocks: list[str], window: int, stall_s: float) -> RunState:
    return RunState(window, fleet.deadline_s, stall_s, fleet.boards, set(blocks), time.monotonic())


class _Loop:
    """Feeds and listens until every final state is here."""

    def __init__(
        self,
        tokens: Iterator[Token],
        fleet: Fleet,
        ends: tuple[BoardLink, BoardLink],
        sender: Sender,
        state: RunState,
        inbox: Inbox,
        outcome: Outcome,
    ) -> None:
        self._tokens, self._fleet, self._sender = tokens, fleet, sender
        self._first, self._last = ends
        self._state, self._inbox, self._outcome = state, inbox, outcome
        self._refused: Token | None = None  # what the data connection did not take yet

    def go(self) -> None:
        started, wait_s = time.monotonic(), 0.0
        while True:
            # Listen before judging: after a pause of this machine the answers are waiting already.
            for link, message in self._fleet.hear(wait_s, self._last):
                self._inbox.take(link, message)
            decided = plan(self._state, time.monotonic())
            if Finish() in decided.actions:
                break
            for action in decided.actions:
                self._perform(action)
            wait_s = decided.wait_s
        self._outcome.stream_seconds = time.monotonic() - started

    def _perform(self, action: Action) -> None:
        if isinstance(action, Feed):
            self._feed(action.count)
        elif isinstance(action, (SendPing, DeclareLost)):
            self._fleet.perform(action)
        elif isinstance(action, DeclareBlocked):
            raise LinkTimeout(
                f"{self._first.where} answers, but has taken no data at {self._first.data_endpoint} for "
                f"{action.blocked_s:.0f} s; check that this port can be reached"
            )
        elif isinstance(action, DeclareStalled):
            raise LinkTimeout(
                f"nothing has come through for {action.idle_s:.0f} s although all boards answer; a link between boards "
                "lost a message: check the network between them and run again"
            )

    def _feed(self, count: int) -> None:
        for _ in range(count):
            token = self._refused or next(self._tokens, None)
            if token is None:
                return
            try:
                self._sender.send(token, _SEND_S)
            except LinkTimeout:
                self._refused = token
                if self._state.blocked_since_s is None:
                    self._state.blocked_since_s = time.monotonic()
                return
            self._refused = self._state.blocked_since_s = None
            self._fed(token)

    def _fed(self, token: Token) -> None:
        self._outcome.bytes_streamed += payload_bytes(token)
        self._state.fed += 1
        self._state.exhausted = token.kind == END
        if token.kind in (SNAPSHOT, END):
            self._inbox.expect_states()
