"""The stream of one incarnation: feed and listen, from the first token to the last final state or the first failure.

What to do next is decided by `next_actions`; here are only the sockets and the clock.
"""

from __future__ import annotations

from collections.abc import Callable

from edgebll.data.token_stream import NOT_YET
from edgebll.kernel.errors import LinkError, LinkTimeout
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport import Sender
from edgebll.kernel.wire import END, SNAPSHOT, Token
from edgebll_firmware_host.fleet.board_link import BoardLink
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.policy.next_actions import (
    Action,
    DeclareBlocked,
    DeclareLost,
    DeclareStalled,
    Feed,
    Finish,
    RunState,
    SendPing,
    next_actions,
)
from edgebll_firmware_host.run.endings import Finished, Regroup
from edgebll_firmware_host.run.report_inbox import ReportInbox
from edgebll_firmware_host.run.run_request import Outcome
from edgebll_firmware_host.run.token_feeder import TokenFeeder

#: How long an attempt to feed may hold up everything else.
_SEND_S = 0.05
#: Samples that are still to come are looked for so often.
_LOOK_S = 0.02
#: Where the data connection breaks, the control connection may tell within so long that the board itself is gone.
_REASON_S = 0.25


class StreamLoop:
    """Feeds and listens until every final state is here.

    Args:
        feeder: gives the tokens.
        fleet: the boards, ready.
        ends: the boards of the first and the last block.
        sender: to the first.
        state: what is known for deciding what to do next.
        inbox: takes what boards say.
        turn: called once in every turn, between messages; whether to end here, for a change.
        outcome: of the run; the bytes sent as tokens are added to it.
    """

    def __init__(
        self,
        feeder: TokenFeeder,
        fleet: Fleet,
        ends: tuple[BoardLink, BoardLink],
        sender: Sender,
        state: RunState,
        inbox: ReportInbox,
        turn: Callable[[], bool],
        outcome: Outcome,
    ) -> None:
        self._feeder, self._fleet, self._sender, self._turn = feeder, fleet, sender, turn
        self._first, self._last = ends
        self._state, self._inbox = state, inbox
        self._broken_since_s: float | None = None  # the data connection
        self._refused: Token | None = None  # what the data connection did not take yet
        self._short = False  # samples of the next token are still to come
        self._outcome = outcome
        self._counted = 0, 0  # what the data connection had sent when it was counted last

    def go(self) -> Finished | Regroup:
        """Run it.

        Raises:
            LinkError, BoardError: a link or a board failed.
        """
        wait_s = 0.0
        while True:
            # Listen before judging: after a pause of this machine the answers are waiting already.
            # Only what the last block's board says makes room for another token; the others may be heard a little later.
            for link, message in self._fleet.hear(wait_s, urgent=self._last):
                self._inbox.take(link, message)
            self._check_link()
            if self._turn():
                return Regroup("a change is wanted, and its snapshot is on the disk")
            decided = next_actions(self._state, awake_s())
            if Finish() in decided.actions:
                return Finished()
            for action in decided.actions:
                self._perform(action)
            wait_s = min(decided.wait_s, _LOOK_S) if self._short else decided.wait_s

    def _check_link(self) -> None:
        if self._sender.on_the_way:
            self._state.last_sent_s = awake_s()
        if not self._sender.broken:
            return
        now_s = awake_s()
        self._broken_since_s = self._broken_since_s or now_s
        if now_s - self._broken_since_s > _REASON_S:
            raise LinkError(f"the data connection to {self._first.where} broke; check the network")

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
                "lost a message: check the network between them, and raise deadline_s if a slow tunnel or proxy is in it"
            )

    def _feed(self, count: int) -> None:
        for _ in range(count):
            token = self._refused or self._feeder.next(awake_s())
            self._short = token is NOT_YET
            if token is None or self._short:
                return
            try:
                self._sender.send(token, _SEND_S)
            except LinkTimeout:
                self._refused = token
                if self._state.blocked_since_s is None:
                    self._state.blocked_since_s = awake_s()
                return
            self._refused = self._state.blocked_since_s = None
            self._fed(token)

    def _fed(self, token: Token) -> None:
        before, self._counted = self._counted, (self._sender.sent_bytes, self._sender.unpacked_bytes)
        self._outcome.bytes_streamed += self._counted[0] - before[0]
        self._outcome.bytes_streamed_unpacked += self._counted[1] - before[1]
        self._state.feed(awake_s())
        self._state.exhausted = token.kind == END
        if token.kind in (SNAPSHOT, END):
            self._inbox.expect_states()
