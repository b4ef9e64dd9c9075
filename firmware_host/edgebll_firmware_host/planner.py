"""What the host does next, as a pure function of what it knows: no sockets, no clock of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

#: Between two heartbeats to a board, in seconds.
PING_PERIOD_S = 0.5


@dataclass
class BoardState:
    """What the host knows of a board; times in seconds of one clock, -inf for never."""

    last_heard_s: float
    last_ping_s: float = float("-inf")


@dataclass
class RunState:
    """What the host knows of a run.

    Attributes:
        window: largest number of tokens in flight. deadline_s: silence after which a board counts as lost.
        stall_s: time without any token done, boards answering all the while, after which a token counts as lost.
        boards: by name. fed: tokens sent to the first block. done: tokens the last block has applied.
        exhausted: whether END was fed. missing_finals: blocks whose final state has not arrived.
        last_progress_s: when `done` last grew, or feeding began.
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

    @property
    def in_flight(self) -> int:
        """Tokens fed and not done."""
        return self.fed - self.done


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
class DeclareStalled:
    """Boards answer, but no token has come through for too long."""

    idle_s: float


@dataclass(frozen=True)
class Finish:
    """Every token is done and every final state is here."""


Action = Feed | SendPing | DeclareLost | DeclareStalled | Finish


@dataclass(frozen=True)
class Plan:
    """Actions in order, and how long the host may wait for messages afterwards."""

    actions: tuple[Action, ...] = field(default=())
    wait_s: float = 0.0


def plan(state: RunState, now_s: float) -> Plan:
    """Decide what to do at `now_s`: heartbeats that are due, boards to give up, tokens to feed, or the end."""
    actions: list[Action] = []
    next_ping_s = now_s + PING_PERIOD_S
    for name, board in state.boards.items():
        silent_s = now_s - board.last_heard_s
        if silent_s > state.deadline_s:
            actions.append(DeclareLost(name, silent_s))
        if now_s - board.last_ping_s >= PING_PERIOD_S:
            actions.append(SendPing(name))
        else:
            next_ping_s = min(next_ping_s, board.last_ping_s + PING_PERIOD_S)
    if state.in_flight > 0 and now_s - state.last_progress_s > state.stall_s:
        actions.append(DeclareStalled(now_s - state.last_progress_s))
    room = state.window - state.in_flight
    if not state.exhausted and room > 0:
        actions.append(Feed(room))
    if state.exhausted and state.in_flight == 0 and not state.missing_finals:
        actions.append(Finish())
    return Plan(tuple(actions), max(0.0, next_ping_s - now_s))
