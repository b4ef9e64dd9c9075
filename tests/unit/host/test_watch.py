"""What the planner does about boards that are slow, silent or in the way, in virtual time."""

from __future__ import annotations

import pytest

from edgebll_firmware_host.policy.next_actions import (
    PING_PERIOD_S,
    SLOWEST_LINK,
    BoardState,
    DeclareBlocked,
    DeclareLost,
    DeclareStalled,
    Feed,
    Finish,
    RunState,
    SendPing,
    next_actions,
    watch,
)


def run_state(**changes: object) -> RunState:
    values: dict = {
        "window": 3,
        "deadline_s": 10.0,
        "stall_s": 60.0,
        "boards": {"a": BoardState(100.0, 100.0)},
        "missing_finals": {"block0"},
        "last_progress_s": 100.0,
        **changes,
    }
    return RunState(**values)


def test_a_board_without_a_session_gets_no_heartbeat_but_has_the_same_deadline() -> None:
    boards = {"a": BoardState(0.0, greeted=False), "b": BoardState(0.0)}
    assert watch(boards, 10.0, 5.0).actions == (SendPing("b"),)
    assert DeclareLost("a", 10.5) in watch(boards, 10.0, 10.5).actions


def test_a_lost_board_gets_no_heartbeat() -> None:
    assert watch({"a": BoardState(0.0)}, 10.0, 11.0).actions == (DeclareLost("a", 11.0),)


@pytest.mark.parametrize(("owed", "silent", "lost"), [(0, 10.1, True), (5, 14.9, False), (5, 15.1, True)])
def test_a_board_that_owes_a_state_may_be_silent_while_it_travels(owed: int, silent: float, lost: bool) -> None:
    boards = {"a": BoardState(0.0, silent, owed_bytes=owed * SLOWEST_LINK)}
    assert (DeclareLost("a", silent) in watch(boards, 10.0, silent).actions) is lost


def test_a_first_board_that_takes_nothing_is_tried_again_without_waiting_and_given_up_after_the_deadline() -> None:
    blocked = run_state(blocked_since_s=99.0)
    decided = next_actions(blocked, 100.1)
    assert decided.actions == (Feed(3),)
    assert decided.wait_s == 0.0
    boards = {"a": BoardState(111.0, 111.0)}
    late = run_state(blocked_since_s=100.0, boards=boards)
    assert DeclareBlocked(11.25) in next_actions(late, 111.25).actions


def test_silence_is_named_before_the_blocked_connection_it_explains() -> None:
    """A board that dies at 100.0: last heard up to a heartbeat before, the connection broken at once."""
    for now in (110.2, 110.6, 111.2):
        state = run_state(boards={"a": BoardState(100.0 - PING_PERIOD_S, 110.0)}, blocked_since_s=100.0)
        given_up = [a for a in next_actions(state, now).actions if isinstance(a, (DeclareLost, DeclareBlocked))]
        assert isinstance(given_up[0], DeclareLost)


def test_final_states_that_never_come_are_a_stall() -> None:
    boards = {"a": BoardState(200.0, 200.0)}
    state = run_state(fed=4, done=4, exhausted=True, boards=boards)
    assert DeclareStalled(100.0) in next_actions(state, 200.0).actions
    state.missing_finals.clear()
    assert next_actions(state, 200.0).actions == (Finish(),)
