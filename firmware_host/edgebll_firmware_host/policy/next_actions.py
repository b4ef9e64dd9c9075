"""What the host does next, as a pure function of what it knows: no sockets, no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Between two heartbeats to a board, in seconds.
PING_PERIOD_S = 0.5
#: A state is one message, so a board says nothing else while it travels: at least so fast, in bytes a second.
SLOWEST_LINK = 1 << 20
#: A token on its way counts as progress of its sender; where it takes longer than at this rate, somebody may hang all the same.
CRAWLING_LINK = 64 << 10


@dataclass
class BoardState:
    """What the host knows of a board; times in seconds of one clock, -inf for never.

    Attributes:
        last_heard_s: last sign of life, or when the host began to listen.
        last_ping_s: last heartbeat sent to it.
        greeted: whether it has a session with this host, so that it answers heartbeats.
        owed_bytes: bytes of the states it was asked for and that have not arrived.
        idle: whether it said last that it had nothing to compute, and nothing on its way to others.
        last_busy_s: when it said last that it had.
    """

    last_heard_s: float
    last_ping_s: float = float("-inf")
    greeted: bool = True
    owed_bytes: int = 0
    idle: bool = False
    last_busy_s: float = float("-inf")


@dataclass
class RunState:
    """What the host knows of a run.

    Attributes:
        window: largest number of tokens in flight.
        deadline_s: silence after which a board counts as lost.
        stall_s: time without any progress, boards answering all the while, after which a message counts as lost.
        idle_s: the same where all boards say that they have nothing to compute and no block has done anything.
        boards: by name.
        fed: tokens sent to the first block.
        done: tokens the last block has applied.
        exhausted: whether END was fed.
        missing_finals: blocks whose final state has not arrived.
        last_progress_s: when `done` last grew or a final state arrived, or feeding began.
        last_report_s: when a block was last heard to have done anything.
        last_sent_s: when part of a token was last on its way from the host to the first board.
        blocked_since_s: since when the first board has taken no token, or None if it takes them.
    """

    window: int
    deadline_s: float
    stall_s: float
    boards: dict[str, BoardState]
    missing_finals: set[str]
    last_progress_s: float
    fed: int = 0
    done: int = 0
    exhausted: bool = False
    blocked_since_s: float | None = None
    idle_s: float = float("inf")
    last_report_s: float = float("-inf")
    last_sent_s: float = float("-inf")

    @property
    def in_flight(self) -> int:
        """Tokens fed and not done."""
        return self.fed - self.done

    def feed(self, now_s: float) -> None:
        """A token was sent; however long its samples were waited for while nothing was in flight, that was no stalling."""
        if not self.in_flight:
            self.last_progress_s = now_s
        self.fed += 1

    @property
    def waiting(self) -> bool:
        """Whether boards owe the host anything."""
        return self.in_flight > 0 or (self.exhausted and bool(self.missing_finals))


@dataclass(frozen=True)
class Feed:
    """Send up to `count` more tokens."""

    count: int


@dataclass(frozen=True)
class SendPing:
    """Send a heartbeat to a board."""

    board: str


@dataclass(frozen=True)
class DeclareLost:
    """A board has been silent for too long."""

    board: str
    silent_s: float


@dataclass(frozen=True)
class DeclareBlocked:
    """The first board answers, but its data connection has taken no token for too long."""

    blocked_s: float


@dataclass(frozen=True)
class DeclareStalled:
    """Boards answer, but nothing has come through for too long."""

    idle_s: float


@dataclass(frozen=True)
class Finish:
    """Every token is done and every final state is here."""


Action = Feed | SendPing | DeclareLost | DeclareBlocked | DeclareStalled | Finish


@dataclass(frozen=True)
class Decision:
    """Actions in order, and how long the host may wait for messages afterwards."""

    actions: tuple[Action, ...] = field(default=())
    wait_s: float = 0.0


def watch(boards: Mapping[str, BoardState], deadline_s: float, now_s: float) -> Decision:
    """Decide which boards to give up at `now_s` and which to send a heartbeat; wait until the next one is due."""
    actions: list[Action] = []
    next_ping_s = now_s + PING_PERIOD_S
    for name, board in boards.items():
        silent_s = now_s - board.last_heard_s
        if silent_s > deadline_s + board.owed_bytes / SLOWEST_LINK:
            actions.append(DeclareLost(name, silent_s))
        elif board.greeted and now_s - board.last_ping_s >= PING_PERIOD_S:
            actions.append(SendPing(name))
        elif board.greeted:
            next_ping_s = min(next_ping_s, board.last_ping_s + PING_PERIOD_S)
    return Decision(tuple(actions), max(0.0, next_ping_s - now_s))


def room_for(state: RunState) -> int:
    """How many more tokens may be fed now."""
    return 0 if state.exhausted else max(0, state.window - state.in_flight)


def next_actions(state: RunState, now_s: float) -> Decision:
    """Decide what to do at `now_s`: boards to give up, heartbeats that are due, tokens to feed, or the end."""
    watched = watch(state.boards, state.deadline_s, now_s)
    actions = [*watched.actions, *_given_up(state, now_s)]
    if room := room_for(state):
        actions.append(Feed(room))
    if state.exhausted and not state.waiting:
        actions.append(Finish())
    # The attempt to feed a blocked board waits for it.
    return Decision(tuple(actions), watched.wait_s if state.blocked_since_s is None else 0.0)


def _given_up(state: RunState, now_s: float) -> list[Action]:
    # A dead board breaks its data connection before it has been silent for long; one period later its silence is the reason.
    blocked_s = 0.0 if state.blocked_since_s is None else now_s - state.blocked_since_s
    if blocked_s > state.deadline_s + 2 * PING_PERIOD_S:
        return [DeclareBlocked(blocked_s)]
    stalled_s = now_s - state.last_progress_s
    busy_s = max((board.last_busy_s for board in state.boards.values()), default=float("-inf"))
    # A board that froze a moment ago said last that it was idle: what nobody has heard since does not count.
    heard_s = min((board.last_heard_s for board in state.boards.values()), default=now_s)
    idle_s = heard_s - max(state.last_report_s, state.last_progress_s, state.last_sent_s, busy_s)
    all_idle = all(board.idle for board in state.boards.values()) and idle_s > state.idle_s
    return [DeclareStalled(stalled_s)] if state.waiting and (all_idle or stalled_s > state.stall_s) else []
