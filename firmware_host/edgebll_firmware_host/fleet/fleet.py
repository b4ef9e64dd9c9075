"""All boards of a run at once: heartbeats to each, who is alive, and what they say. One slow board keeps no other waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from edgebll.kernel.errors import BoardError, ConfigError, EdgebllError, LinkError, LinkTimeout
from edgebll.kernel.support.awake_clock import awake_s
from edgebll.kernel.transport import poll
from edgebll.kernel.wire import MAX_PROGRESS_CHARS, Failure, Leaving, Message, Pong, Progress, Welcome, unknown_kind
from edgebll.kernel.wire.busy_reply import run_of
from edgebll_firmware_host.fleet.addresses import Addresses
from edgebll_firmware_host.fleet.board_link import BoardLink, twice
from edgebll_firmware_host.policy.next_actions import BoardState, DeclareLost, SendPing, watch

#: How long a message that is not urgent may lie, and how often to look whether processes have ended.
LAZY_S, _CHECK_S = 0.05, 0.1

#: However often a board says that it makes progress, it has this long for one thing.
_LONGEST_S = 6 * 3600.0
#: How long to look for a better reason where a board has lost a link.
_REASON_S = 0.25
M = TypeVar("M", bound=Message)


def nobody(text: str) -> None:
    """Listen to nothing."""


class BoardLeaves(LinkError):  # noqa: N818  (it does nothing wrong)
    """A board is to end before it was ready."""


class Fleet:
    """The boards of a run; make it with `session.open_fleet`.

    Args:
        links: one a board.
        deadline_s: silence after which a board counts as lost.
        check: raises BoardError if a board's process is known to have ended.
        tell: takes a sentence for the user, e.g. that a board is building an engine.
        absent: boards that are no members because they cannot be connected to, and why.

    Attributes:
        links: board -> its connection.
        boards: board -> what is known of it.
        suspect: the board that is to blame for the error this raised, if that is known.
        reported: whether it said so itself.
        leaving: boards that said that they are to end, and wait to be let go.
        absent: as given.
        older: boards that did not understand a message, as an older release does not.
    """

    def __init__(
        self,
        links: Sequence[BoardLink],
        deadline_s: float,
        check: Callable[[], None],
        tell: Callable[[str], None] = nobody,
        absent: Mapping[str, EdgebllError] | None = None,
    ) -> None:
        now = awake_s()
        self.links = {link.name: link for link in links}
        self.boards = {link.name: BoardState(now, greeted=False) for link in links}
        self.deadline_s, self._ended, self._tell = deadline_s, check, tell
        self.suspect: str | None = None
        self.reported = False
        self.leaving: set[str] = set()
        self.absent = dict(absent or {})
        self.older: set[str] = set()
        self._addresses = Addresses()
        self._checked_s = float("-inf")

    def greet(self) -> dict[str, Welcome]:
        """Open a session with every board.

        Raises:
            LinkTimeout: one does not answer. LinkError: one speaks another protocol or works for another host.
        """
        for link in self.links.values():
            link.say_hello()
        return self.gather(Welcome, 2 * self.deadline_s, "said who it is")

    def candidates(self, source: str, target: str) -> tuple[str, ...]:
        """Where a board may find the data socket of another one, to be tried in this order."""
        there = self.links[target]
        return self._addresses.of(there.welcome.data_endpoint, there.entry.endpoint, self.links[source].entry.endpoint)

    def drop(self, name: str) -> None:
        """Let go of a board: it is no member any more."""
        link, board = self.links.pop(name), self.boards.pop(name)
        link.let_go() if board.greeted else link.close()

    def leave(self) -> None:
        """Close all connections and end no session: the next incarnation's Hello does that, so that nobody waits."""
        for link in self.links.values():
            link.close()
        self.links.clear()

    def gather(self, kind: type[M], limit_s: float, what: str) -> dict[str, M]:
        """Wait for a message of this class from every board, keeping all sessions alive.

        Raises:
            LinkTimeout: a board is alive, but has not done `what` within `limit_s` since it last spoke of progress.
            BoardLeaves: one is to end. And what `hear` and `watch` raise.
        """
        found: dict[str, M] = {}
        started, wait_s = awake_s(), 0.0
        moved = dict.fromkeys(self.links, started)
        while True:
            for link, message in self.hear(wait_s):
                if isinstance(message, kind):
                    found[link.name] = message
                if isinstance(message, Progress):
                    moved[link.name] = awake_s()
            for name in self.leaving & self.links.keys():
                raise BoardLeaves(f"{self.links[name].where} is about to end; run again when it has been started again")
            late = [link for name, link in self.links.items() if name not in found]
            if not late:
                return found
            now = awake_s()
            for link in late:
                if now - moved[link.name] > limit_s or now - started > _LONGEST_S:
                    waited_s = now - started
                    raise LinkTimeout(f"{link.where} answers, but has not {what} within {waited_s:.0f} s; look at its log")
            wait_s = self.watch()

    def hear(self, timeout_s: float, *, urgent: BoardLink | None = None) -> list[tuple[BoardLink, Message]]:
        """Wait for messages and return all that have arrived, apart from heartbeats' answers.

        Args:
            timeout_s: how long to wait for the first message.
            urgent: the board whose messages are heard at once; what the others say may lie for LAZY_S then, which saves the
                host from waking for every block of every token. None: whatever comes is heard at once.

        Raises:
            BoardError: a board failed or its process ended. LinkError: a link broke, or carries something else.
        """
        now = awake_s()
        if now - self._checked_s >= _CHECK_S:
            self._checked_s = now
            self._check()
            self._check_connections()
        if urgent is not None:
            poll([urgent.control], min(timeout_s, LAZY_S))
            timeout_s = 0.0
        heard: list[tuple[BoardLink, Message]] = []
        for link in self.ready(timeout_s):
            while (message := link.receive()) is not None:
                if isinstance(message, Failure) and message.code == LinkError.exit_code:
                    self._look_for_reason()
                self.note(link, message)
                if not isinstance(message, Pong):
                    heard.append((link, message))
        return heard

    def ready(self, timeout_s: float) -> list[BoardLink]:
        """Wait until a board has said something, at most `timeout_s`; the connections of all that have."""
        links = {id(link.control): link for link in self.links.values()}
        return [links[id(control)] for control in poll([link.control for link in links.values()], timeout_s)]

    def _look_for_reason(self) -> None:
        """A board lost a link: that the board at its other end is gone would say more, and is known very soon if so."""
        until_s = awake_s() + _REASON_S
        while awake_s() < until_s:
            self._check_connections()
            time.sleep(_REASON_S / 20)

    def _check(self) -> None:
        """Raise BoardError if a board's process is known to have ended: that board is to blame, whatever led here."""
        try:
            self._ended()
        except BoardError as error:
            self.suspect = error.board or self.suspect
            raise

    def _check_connections(self) -> None:
        """A connection that was cut may have lost messages, and ZeroMQ sends them no more; one that moves is alive."""
        for name, link in self.links.items():
            board = self.boards[name]
            if board.greeted and link.moves():
                board.last_heard_s = awake_s()
                board.last_busy_s = board.last_heard_s if board.owed_bytes > 0 else board.last_busy_s
            if board.greeted and link.control.broken:
                self.suspect = name
                self._check()
                raise BoardError(f"{link.where} vanished: the connection broke{link.doubt}; check the board and the network")

    def note(self, link: BoardLink, message: Message) -> None:
        """Keep what a message tells of its board, as `hear` does with each.

        Raises:
            BoardError, LinkError: it tells of a failure. ConfigError: the board is the agent of another member, too.
        """
        board = self.boards[link.name]
        board.last_heard_s = awake_s()
        if isinstance(message, Pong):
            link.heard(message)
            board.idle = message.idle
            board.last_busy_s = board.last_busy_s if message.idle else board.last_heard_s
        elif isinstance(message, Welcome):
            link.accept(message)
            board.greeted = True
        elif isinstance(message, Progress):
            self._tell(f"{link.name}: {message.text[:MAX_PROGRESS_CHARS]}")
        elif isinstance(message, Leaving):
            self.leaving.add(link.name)
        elif isinstance(message, Failure) and unknown_kind(message):
            self.older.add(link.name)
        elif isinstance(message, Failure) and run_of(message.message) == link.run:
            raise ConfigError(twice(link.where, self._other(link, message.message)))
        elif isinstance(message, Failure):
            self._check()  # a neighbour whose process has ended is the better reason
            if message.code != LinkError.exit_code:
                self.suspect, self.reported = link.name, True
            raise link.failed(message)

    def _other(self, link: BoardLink, said: str) -> str:
        """The greeted board that calls itself what this sentence says; empty if there is none."""
        others = (other for name, other in self.links.items() if other is not link and self.boards[name].greeted)
        return next((other.name for other in others if said.startswith(f"board {other.welcome.name} ")), "")

    def watch(self) -> float:
        """Send the heartbeats that are due; returns how long to wait for messages before the next.

        Raises:
            LinkTimeout: a board never answered. BoardError: a board has fallen silent.
        """
        decided = watch(self.boards, self.deadline_s, awake_s())
        for action in decided.actions:
            if isinstance(action, (SendPing, DeclareLost)):
                self.perform(action)
        return decided.wait_s

    def perform(self, action: SendPing | DeclareLost) -> None:
        """Send a heartbeat, or give a board up."""
        link, board = self.links[action.board], self.boards[action.board]
        if isinstance(action, SendPing):
            link.ping()
            board.last_ping_s = awake_s()
            return
        self.suspect = action.board
        self._check()  # says more where the board's process is known to have ended
        silent_s, why = action.silent_s, link.control.diagnosis()
        if not board.greeted:
            raise LinkTimeout(f"{link.where} did not answer within {silent_s:.0f} s{why}")
        raise BoardError(f"{link.where} has been silent for {silent_s:.0f} s{why}; check the board and run again")
