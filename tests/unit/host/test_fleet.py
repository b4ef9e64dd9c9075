"""The host's side of sessions, against scripted boards on real sockets."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from support.fake_board import FakeBoard, manners, welcome

from edgebll.kernel.errors import BoardError, ConfigError, EdgebllError, LinkError, LinkTimeout
from edgebll.kernel.wire import (
    TRAIN,
    Failure,
    Hello,
    Message,
    Offer,
    Ping,
    Pong,
    Progress,
    Ready,
    Report,
    State,
    Stop,
    Want,
)
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.fleet.fleet import Fleet
from edgebll_firmware_host.fleet.probe import probe_all
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry

RUN = "run"


def entry(name: str, board: FakeBoard) -> BoardEntry:
    return BoardEntry(name, board.endpoint)


def test_a_board_that_never_answers_is_a_link_error_and_one_that_falls_silent_a_board_error() -> None:
    with (
        FakeBoard(lambda _: []) as mute,
        FakeBoard() as other,
        pytest.raises(LinkTimeout, match=r"board a at tcp://127.0.0.1:\d+ did not answer within 1 s"),
        open_fleet([entry("a", mute), entry("b", other)], RUN, None, 1.0) as fleet,
    ):
        fleet.greet()
    assert len(other.times(Stop)) == 1, "the others are let go"
    with (
        FakeBoard(lambda message: manners(message) if isinstance(message, Hello) else []) as faint,
        pytest.raises(BoardError, match=r"board a at tcp://127.0.0.1:\d+ has been silent for 1 s"),
        open_fleet([entry("a", faint)], RUN, None, 1.0) as fleet,
    ):
        greet_and_wait(fleet)


@pytest.mark.parametrize(
    "message",
    [Pong(1, 2), Progress(RUN, "builds"), Report(RUN, "block0", TRAIN, 0, 0, {}, 0, 1), State(RUN, "block0", 0, 0, False)],
)
def test_any_message_is_a_sign_of_life(message: Message) -> None:
    """A heartbeat's answer lies behind all that the board had to say before, which may be much."""
    with FakeBoard() as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        fleet.boards["a"].last_heard_s = float("-inf")
        fleet.note(fleet.links["a"], message)
        assert time.monotonic() - fleet.boards["a"].last_heard_s < 5.0


def greet_and_wait(fleet: Fleet) -> None:
    fleet.greet()
    fleet.gather(Ready, 30.0, "loaded its blocks")


def test_a_board_that_lives_but_does_not_do_its_part_has_a_deadline_too() -> None:
    with FakeBoard() as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        with pytest.raises(LinkTimeout, match=r"board a at .* answers, but has not loaded its blocks within 1 s"):
            fleet.gather(Ready, 0.6, "loaded its blocks")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"protocol": 99}, LinkError, "speaks protocol 99, this host"),
        ({"runtimes": ("tensorrt",)}, ConfigError, "has no runtime 'onnxruntime', only tensorrt"),
    ],
)
def test_a_board_that_does_not_fit_is_refused_when_it_is_greeted(changes: dict, kind: type[EdgebllError], words: str) -> None:
    with (
        FakeBoard(lambda message: [welcome(**changes)] if isinstance(message, Hello) else None) as board,
        pytest.raises(kind, match=words),
        open_fleet([entry("a", board)], RUN, None, 5.0) as fleet,
    ):
        fleet.greet()


@pytest.mark.parametrize(("code", "kind"), [(7, LinkError), (3, BoardError), (1, BoardError)])
def test_a_failure_names_the_board_once_and_keeps_its_family(code: int, kind: type[EdgebllError]) -> None:
    def fail(message: Message) -> Iterable[Message] | None:
        return [Failure(RUN, code, "board fake: the disk is full")] if isinstance(message, Offer) else None

    with FakeBoard(fail) as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        fleet.links["a"].send(Offer(RUN, b"{}", ()))
        with pytest.raises(kind) as caught:
            fleet.gather(Want, 10.0, "said which files it needs")
        assert str(caught.value) == f"board a at {board.endpoint}: the disk is full"


def test_what_is_known_of_a_process_comes_before_what_its_neighbours_say() -> None:
    ended: list[bool] = []

    def check() -> None:
        if ended:
            raise BoardError("board b was killed", "b")

    def fail(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Offer):
            ended.append(True)
            return [Failure(RUN, 7, "board fake: no connection to the next board")]
        return None

    with FakeBoard(fail) as board, open_fleet([entry("a", board)], RUN, None, 5.0, check) as fleet:
        fleet.greet()
        fleet.links["a"].send(Offer(RUN, b"{}", ()))
        with pytest.raises(BoardError, match="board b was killed"):
            fleet.gather(Want, 10.0, "said which files it needs")
        assert fleet.suspect == "b"


def test_a_dead_neighbour_comes_before_the_link_that_broke_with_it() -> None:
    """Board a's word of its broken link is there before the host has looked at its connection to b, which broke too."""
    dying = FakeBoard()

    def fail(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Offer):
            dying.__exit__(None, None, None)
            return [Failure(RUN, 7, "board fake: the connection to block1 broke")]
        return None

    with dying, FakeBoard(fail) as a, open_fleet([entry("a", a), entry("b", dying)], RUN, None, 5.0) as fleet:
        fleet.greet()
        fleet.links["a"].send(Offer(RUN, b"{}", ()))
        with pytest.raises(BoardError, match=r"board b at .* vanished"):
            fleet.gather(Want, 10.0, "said which files it needs")
        assert fleet.suspect == "b"


def test_bytes_that_are_no_message_name_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    import edgebll.kernel.transport.control as control

    with FakeBoard() as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        monkeypatch.setattr(control, "encode", lambda _: [b"rubbish"])  # of the board too: both live in this process
        fleet.links["a"].send(Ping(0))
        with pytest.raises(LinkError, match=r"board a at .*msgpack|board a at .*header"):
            fleet.gather(Pong, 10.0, "answered")
        monkeypatch.undo()


def test_what_is_not_urgent_lies_for_a_moment_and_no_longer() -> None:
    """Only the urgent board wakes the host at once; the other one's words are heard with it or within LAZY_S."""
    with (
        FakeBoard() as urgent,
        FakeBoard() as other,
        open_fleet([entry("a", urgent), entry("b", other)], RUN, None, 5.0) as fleet,
    ):
        fleet.greet()
        link = fleet.links["b"]
        started = time.monotonic()
        tag = link.ping()
        while link.acknowledged_ns < tag:
            assert time.monotonic() - started < 4.0
            fleet.hear(5.0, urgent=fleet.links["a"])
        assert time.monotonic() - started < 4.0, "sooner than it listens"


def test_stopping_waits_for_no_dead_board() -> None:
    with FakeBoard() as alive, FakeBoard(lambda m: [] if isinstance(m, Stop) else None) as dying:
        with pytest.raises(BoardError, match="enough"), open_fleet([entry("a", dying), entry("b", alive)], RUN, None, 5.0) as f:
            fail_after_greeting(f)
        started = alive.times(Hello)[0]
        assert time.monotonic() - started < 4.5, "sooner than the deadline"
        assert len(alive.times(Stop)) == 1
        assert alive.times(Stop)[0] - started < 0.9, "told at once, not after the dead one, which has a second"


def fail_after_greeting(fleet: Fleet) -> None:
    fleet.greet()
    raise BoardError("enough")


def test_probing_asks_all_boards_at_once(tmp_path: Path) -> None:
    nobody = tuple(BoardEntry(f"n{port}", f"tcp://127.0.0.1:{port}") for port in range(3, 13))
    with FakeBoard() as board:
        started = time.monotonic()
        answers = probe_all(Cluster((*nobody, entry("a", board)), HostEntry(deadline_s=1.0)))
        assert time.monotonic() - started < 8.0, "one after another they take ten seconds"
    assert [isinstance(answer, LinkError) for answer in answers] == [True] * 10 + [False]
    assert answers[-1] == welcome()
