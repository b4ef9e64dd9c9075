"""The planner in virtual time, without a network."""

from hypothesis import given
from hypothesis import strategies as st

from edgebll_firmware_host.policy.next_actions import (
    PING_PERIOD_S,
    BoardState,
    DeclareLost,
    DeclareStalled,
    Feed,
    Finish,
    RunState,
    SendPing,
    next_actions,
)


def state(**changes: object) -> RunState:
    values: dict = {
        "window": 3,
        "deadline_s": 10.0,
        "stall_s": 60.0,
        "boards": {"a": BoardState(100.0, 100.0), "b": BoardState(100.0, 100.0)},
        "missing_finals": {"block0"},
        "last_progress_s": 100.0,
        **changes,
    }
    return RunState(**values)


def test_an_idle_run_is_fed_up_to_its_window() -> None:
    assert next_actions(state(), 100.0).actions == (Feed(3),)
    assert next_actions(state(fed=5, done=3), 100.0).actions == (Feed(1),)
    assert next_actions(state(fed=6, done=3), 100.0).actions == ()


def test_heartbeats_are_sent_when_due_and_the_wait_ends_with_the_next() -> None:
    boards = {"a": BoardState(100.0, 100.0), "b": BoardState(100.0, 100.0 - PING_PERIOD_S)}
    decided = next_actions(state(boards=boards, fed=3), 100.1)
    assert decided.actions == (SendPing("b"),)
    assert 0 < decided.wait_s <= PING_PERIOD_S - 0.1 + 1e-9


def test_a_silent_board_is_lost_after_the_deadline_and_not_before() -> None:
    boards = {"a": BoardState(90.0, 100.0), "b": BoardState(100.0, 100.0)}
    assert not any(isinstance(a, DeclareLost) for a in next_actions(state(boards=boards), 100.0).actions)
    lost = [a for a in next_actions(state(boards=boards), 100.1).actions if isinstance(a, DeclareLost)]
    assert [a.board for a in lost] == ["a"]


def test_no_progress_with_answering_boards_is_a_stall() -> None:
    assert any(isinstance(a, DeclareStalled) for a in next_actions(state(fed=1, last_progress_s=39.0), 100.0).actions)
    assert not any(isinstance(a, DeclareStalled) for a in next_actions(state(fed=0, last_progress_s=39.0), 100.0).actions)


def test_it_ends_when_the_stream_is_done_and_all_states_are_here() -> None:
    assert Finish() not in next_actions(state(fed=4, done=3, exhausted=True, missing_finals=set()), 100.0).actions
    assert Finish() not in next_actions(state(fed=4, done=4, exhausted=True), 100.0).actions
    assert Finish() in next_actions(state(fed=4, done=4, exhausted=True, missing_finals=set()), 100.0).actions


@given(window=st.integers(1, 9), tokens=st.integers(1, 40), seed=st.randoms(use_true_random=False))
def test_whatever_the_timing_the_window_holds_and_every_token_is_fed_once(window: int, tokens: int, seed: object) -> None:
    """A pipeline of unknown speed, in virtual time."""
    now, run = 0.0, state(window=window, boards={"a": BoardState(0.0, 0.0)}, last_progress_s=0.0)
    fed: list[int] = []
    for _ in range(20 * tokens + 100):
        decided = next_actions(run, now)
        if Finish() in decided.actions:
            break
        for action in decided.actions:
            if isinstance(action, SendPing):
                run.boards[action.board] = BoardState(now, now)
            elif isinstance(action, Feed):
                for _ in range(min(action.count, tokens - run.fed)):
                    fed.append(run.fed)
                    run.fed += 1
                run.exhausted = run.fed == tokens
        assert run.in_flight <= window
        now += seed.uniform(0.0, 0.4)  # type: ignore[attr-defined]
        run.boards["a"].last_heard_s = now
        if run.in_flight and seed.random() < 0.7:  # type: ignore[attr-defined]
            run.done += seed.randint(1, run.in_flight)  # type: ignore[attr-defined]
            run.last_progress_s = now
        if run.exhausted and not run.in_flight:
            run.missing_finals.clear()
    assert fed == list(range(tokens))
    assert run.done == tokens


def test_what_is_on_its_way_is_no_stall() -> None:
    """Part of a token, over a slow link; boards say so with the heartbeat before all are idle again."""
    idle = BoardState(100.0, 100.0, idle=True)

    def stalled(**changes: object) -> bool:
        values = {"boards": {"a": idle, "b": idle}, "fed": 1, "idle_s": 5.0, "last_progress_s": 50.0, **changes}
        return any(isinstance(action, DeclareStalled) for action in next_actions(state(**values), 100.0).actions)

    assert stalled()
    assert not stalled(last_sent_s=96.0), "from the host"
    assert not stalled(boards={"a": idle, "b": BoardState(100.0, 100.0, idle=True, last_busy_s=96.0)}), "from a board"
    assert stalled(last_sent_s=94.0, boards={"a": idle, "b": BoardState(100.0, 100.0, idle=True, last_busy_s=94.0)})


def test_boards_that_all_have_nothing_to_do_while_tokens_are_under_way_are_a_stall() -> None:
    """A message was lost where nobody notices; a board that computes may take as long as it likes."""
    idle = {"a": BoardState(100.0, 100.0, idle=True), "b": BoardState(100.0, 100.0, idle=True)}

    def stalled(**changes: object) -> bool:
        values = {"boards": idle, "fed": 1, "idle_s": 5.0, "last_progress_s": 94.0, **changes}
        return any(isinstance(action, DeclareStalled) for action in next_actions(state(**values), 100.0).actions)

    assert stalled()
    assert not stalled(last_report_s=96.0), "a block was heard of"
    assert not stalled(last_progress_s=96.0)
    assert not stalled(fed=0), "nothing is owed"
    assert not stalled(boards={**idle, "b": BoardState(100.0, 100.0)}), "one computes"


def test_a_board_that_froze_after_it_said_it_was_idle_is_no_stall() -> None:
    """Its silence is the reason, and is named when its deadline is over."""
    boards = {"a": BoardState(100.0, 100.0, idle=True), "b": BoardState(96.0, 96.5, idle=True)}
    frozen = state(boards=boards, fed=1, idle_s=5.0, deadline_s=5.0, last_progress_s=94.0)
    assert not any(isinstance(action, DeclareStalled) for action in next_actions(frozen, 100.0).actions)
    later = next_actions(frozen, 101.1).actions
    assert [action.board for action in later if isinstance(action, DeclareLost)] == ["b"]
    assert not any(isinstance(action, DeclareStalled) for action in later)


def test_samples_that_were_long_waited_for_are_no_stall() -> None:
    waiting = state(boards={"a": BoardState(1000.0, 1000.0)}, fed=3, done=3)
    waiting.feed(1000.0)
    assert not any(isinstance(action, DeclareStalled) for action in next_actions(waiting, 1000.1).actions)
    waiting.feed(1050.0)
    assert any(isinstance(action, DeclareStalled) for action in next_actions(waiting, 1060.1).actions)
