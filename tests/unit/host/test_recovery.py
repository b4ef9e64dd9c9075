"""What decides about a recovery: snapshots between tokens, patience, placements among those that are left, who answers."""

from __future__ import annotations

import time
from collections.abc import Iterable

import pytest
from support.fake_board import FakeBoard

from edgebll.data.token_stream import NOT_YET
from edgebll.kernel.errors import BoardError, LinkError, LinkTimeout
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, Failure, Hello, Message, Progress, Stop, Token, Welcome
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.fleet.rejoin_handshake import greet_those_there
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import place_among
from edgebll_firmware_host.policy.recovery_policy import Patience
from edgebll_firmware_host.run.token_feeder import TokenFeeder

RUN = "run"


def feeder(kinds: str, snapshot_seconds: float = 0.0) -> TokenFeeder:
    """Of a stream of these kinds, by their first letters; "?" is a token whose samples have not come yet."""
    names = {"T": TRAIN, "E": EVAL, "S": SNAPSHOT, ".": END}
    steps = [kinds[:index].count("T") for index in range(len(kinds))]
    tokens = (
        NOT_YET if kind == "?" else Token(RUN, "block0", names[kind], 99, step) for kind, step in zip(kinds, steps, strict=True)
    )
    return TokenFeeder(tokens, 7, snapshot_seconds, 0.0)


def fed(feeder: TokenFeeder, times: Iterable[float] = range(99)) -> str:
    tokens = [token for now in times if (token := feeder.next(now)) is not None]
    assert [token.sequence for token in tokens] == list(range(len(tokens)))
    assert {token.incarnation for token in tokens} <= {7}
    trained = 0
    for token in tokens:
        assert token.step == trained
        trained += token.kind == TRAIN
    return "".join(token.kind[0] if token.kind != END else "." for token in tokens)


def test_snapshots_by_the_clock_come_right_after_training_steps_and_never_in_an_evaluation() -> None:
    assert fed(feeder("TTEETT.")) == "TTEETT."
    assert fed(feeder("TTEETT.", 1e-9)) == "TSTSEETSTS."
    assert fed(feeder("TTTTTT.", 2.0)) == "TTSTSTSTSTS."  # at the times 2, 4, ...
    assert fed(feeder("TSTST.", 1e-9)) == "TSTSTS.", "one at a step is enough"


def test_a_snapshot_that_is_wanted_comes_once() -> None:
    made = feeder("TTTEET.")
    first = made.next(0.0)
    assert first is not None
    made.wanted = True
    assert "".join(token.kind[0] for token in iter(lambda: made.next(0.0), None)) == "STTEETE"
    assert not made.wanted


def test_a_snapshot_is_taken_while_samples_are_waited_for() -> None:
    made = feeder("TT??T.", snapshot_seconds=5.0)
    found = [made.next(now) for now in (0.0, 1.0, 2.0, 8.0, 8.1, 8.2)]
    assert found[2] is NOT_YET
    assert found[3] is not None
    assert (found[3].run, found[3].block, found[3].kind, found[3].step, found[3].sequence) == (RUN, "block0", SNAPSHOT, 2, 2)
    assert [token.kind for token in found[4:] if token is not None] == [TRAIN, END]


def test_failures_are_borne_while_there_is_progress_now_and_then() -> None:
    patience = Patience(10.0, 100.0)
    assert patience.bears(LinkError("cut"), 109.0)
    assert not patience.bears(LinkError("cut"), 110.0)
    assert patience.progress(1, 111.0)
    assert not patience.progress(1, 112.0)
    assert all(patience.bears(LinkError("cut"), 120.0) for _ in range(100))
    assert not patience.bears(LinkError("cut"), 121.0)
    assert not Patience(0.0, 100.0).bears(LinkError("cut"), 100.0)


def test_what_boards_report_three_times_in_a_row_is_not_borne() -> None:
    patience = Patience(1e6, 0.0)
    full = [BoardError(f"board {name} at tcp://127.0.0.1:{port}: no space left") for port, name in enumerate("abc")]
    assert [patience.bears(error, 1.0, reported=True) for error in full] == [True, True, False]
    assert patience.progress(5, 2.0)
    assert [patience.bears(error, 3.0, reported=True) for error in full[:2]] == [True, True]
    assert patience.bears(LinkError("cut"), 3.0)
    assert [patience.bears(error, 3.0, reported=True) for error in full] == [True, True, False]


def test_blocks_go_to_those_that_are_there() -> None:
    blocks = ["block0", "block1", "block2"]
    boards = [BoardEntry(name, f"tcp://127.0.0.1:{port}") for port, name in enumerate("abcd", 1)]
    assert place_among(blocks, [1.0] * 3, boards, "abcd").blocks == {"a": ("block0",), "b": ("block1",), "c": ("block2",)}
    assert place_among(blocks, [1.0] * 3, boards, "acd").blocks == {"a": ("block0",), "c": ("block1",), "d": ("block2",)}
    assert place_among(blocks, [1.0] * 3, boards, "d").blocks == {"d": tuple(blocks)}
    pinned = [
        BoardEntry("a", "tcp://127.0.0.1:1", blocks=("block2",)),
        BoardEntry("b", "tcp://127.0.0.1:2", blocks=("block0", "block1")),
        BoardEntry("c", "tcp://127.0.0.1:3"),
    ]
    assert place_among(blocks, [1.0] * 3, pinned, "ab").blocks == {"a": ("block2",), "b": ("block0", "block1")}
    assert place_among(blocks, [1.0] * 3, pinned, "bc").blocks == {"b": ("block0", "block1"), "c": ("block2",)}


def test_a_recovery_takes_those_that_answer_and_says_why_not_the_others() -> None:
    def busy(message: Message) -> Iterable[Message] | None:
        return [Failure(RUN, 7, "board fake works for another host")] if isinstance(message, Hello) else None

    with FakeBoard() as there, FakeBoard(lambda _: []) as mute, FakeBoard(busy) as taken:
        entries = [BoardEntry(n, b.endpoint) for n, b in (("a", there), ("b", mute), ("c", taken))]
        entries.append(BoardEntry("d", "tcp://127.0.0.1:9"))
        started = time.monotonic()
        with open_fleet(entries, RUN, None, 20.0, incarnation=3) as fleet:
            refused = greet_those_there(fleet, 0.3)
            assert time.monotonic() - started < 18.0, "sooner than the deadline"
            assert set(fleet.links) == {"a"}
            assert set(refused) == {"b", "c", "d"}
            assert "works for another host" in str(refused["c"])
            assert "does not answer; is a board serving at that address?" in str(refused["d"])
        assert [message.incarnation for _, message in there.heard if isinstance(message, (Hello, Stop))] == [3, 3]
    with (
        FakeBoard(lambda _: []) as mute,
        open_fleet([BoardEntry("a", mute.endpoint)], RUN, None, 1.0) as fleet,
        pytest.raises(LinkTimeout, match="does not answer"),
    ):
        greet_those_there(fleet, 0.1)


def test_a_board_that_still_computes_is_waited_for() -> None:
    asked: list[float] = []

    def late(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Hello):
            asked.append(time.monotonic())
            return [Progress(RUN, "ends the step in progress of an earlier incarnation")]
        return None

    with FakeBoard() as quick, FakeBoard(late) as slow:
        entries = [BoardEntry("a", quick.endpoint), BoardEntry("b", slow.endpoint)]
        with open_fleet(entries, RUN, None, 1.5) as fleet:
            greet_those_there(fleet, 0.1)
        assert time.monotonic() - asked[0] > 1.0, "for the deadline, not only for the grace"


def test_a_board_whose_connection_breaks_is_gone_at_once() -> None:
    board = FakeBoard()
    with board, open_fleet([BoardEntry("a", board.endpoint)], RUN, None, 20.0) as fleet:
        fleet.greet()
        board.__exit__(None, None, None)
        started = time.monotonic()
        with pytest.raises(BoardError, match=r"board a at .* vanished: the connection broke"):
            fleet.gather(Welcome, 60.0, "came back")
        assert time.monotonic() - started < 18.0, "sooner than the deadline"
        assert fleet.suspect == "a"
        fleet.leave()
