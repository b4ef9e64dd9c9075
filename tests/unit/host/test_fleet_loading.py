"""Boards that are sent files and load blocks, against scripted boards: however long that takes, all stay in touch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable

import pytest
from support.fake_board import FakeBoard, manners
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import LinkError, LinkTimeout
from edgebll.kernel.wire import (
    Assign,
    FilePiece,
    Message,
    Offer,
    Ping,
    Pong,
    Progress,
    Ready,
    Stop,
    Want,
)
from edgebll_firmware_host.fleet import board_sessions as session
from edgebll_firmware_host.fleet import file_transfer as shipping
from edgebll_firmware_host.fleet.board_sessions import open_fleet, start_session
from edgebll_firmware_host.fleet.file_transfer import ship
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.block_placement import Placement

RUN = "run"


def entry(name: str, board: FakeBoard) -> BoardEntry:
    return BoardEntry(name, board.endpoint)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=2)


def test_a_board_that_loads_slowly_costs_no_other_its_heartbeats(bundle: Bundle) -> None:
    """The first board is ready 1.5 s late; the second must go on hearing from its host all the while."""
    asked: list[float] = []

    def slow(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Assign):
            asked.append(time.monotonic())
            return []
        if isinstance(message, Ping) and asked and time.monotonic() - asked[0] > 1.5:
            return [Ready(RUN, 1.5), *manners(message)]
        return None

    def quick(message: Message) -> Iterable[Message] | None:
        return [Ready(RUN, 0.0)] if isinstance(message, Assign) else None

    with FakeBoard(slow) as first, FakeBoard(quick) as second:
        placement = Placement({"a": ("block0",), "b": ("block1",)})
        with open_fleet([entry("a", first), entry("b", second)], RUN, None, 1.0) as fleet:
            fleet.greet()
            start_session(fleet, bundle, placement, None)
        pings = second.times(Ping)
        gaps = [later - earlier for earlier, later in itertools.pairwise(pings)]
        assert pings[-1] - pings[0] > 1.0
        assert max(gaps) < 1.4, "less than what the other one takes"
        assert all(board.times(Stop) for board in (first, second))


def test_files_go_only_a_few_pieces_ahead_of_what_is_confirmed(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that confirms nothing gets AHEAD pieces and no more; once it does, it gets every byte in order."""
    monkeypatch.setattr(shipping, "PIECE_BYTES", 50)
    monkeypatch.setattr(shipping, "AHEAD", 4)
    graph = bundle.manifest.files["block0/step.onnx"]
    state = {"held": True, "most": 0}
    held: list[Ping] = []
    received = bytearray()
    pieces: list[int] = []

    def careful(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Offer):
            return [Want(RUN, (graph.sha256,))]
        if isinstance(message, FilePiece):
            assert message.offset == len(received)
            received.extend(message.data)
            pieces.append(len(message.data))
        if isinstance(message, Ping) and pieces and state["held"]:
            held.append(message)
            if len(held) <= shipping.AHEAD:
                return []  # the next heartbeat comes half a second later: nothing else was sent by then
            state["held"], state["most"] = False, len(pieces)
            return [Pong(ping.sent_ns, 0) for ping in held]
        return None

    with FakeBoard(careful) as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        sent = ship(fleet, bundle, {"a": ("block0",)})
    assert state["most"] == shipping.AHEAD
    assert sent == graph.size_bytes == len(received)
    assert bytes(received) == (bundle.path / "block0/step.onnx").read_bytes()


def test_only_offered_files_are_sent(bundle: Bundle) -> None:
    other = bundle.manifest.files["block1/step.onnx"].sha256

    def greedy(message: Message) -> Iterable[Message] | None:
        return [Want(RUN, (other,))] if isinstance(message, Offer) else None

    with FakeBoard(greedy) as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        with pytest.raises(LinkError, match="asks for a file that was not offered"):
            ship(fleet, bundle, {"a": ("block0",)})
    assert not board.times(FilePiece)


def test_a_board_that_tells_of_progress_has_more_time(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Building engines may take longer than any limit on loading; the user reads what the board says."""
    monkeypatch.setattr(session, "LOAD_S", 0.9)
    asked: list[float] = []

    def building(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Assign):
            asked.append(time.monotonic())
            return []
        if isinstance(message, Ping) and asked:
            passed = time.monotonic() - asked[0]
            news = Progress(RUN, f"still building: {passed:.0f} s") if passed < 2.0 else Ready(RUN, passed)
            return [news, *manners(message)]
        return None

    told: list[str] = []
    placement = Placement({"a": ("block0", "block1")})
    with FakeBoard(building) as board, open_fleet([entry("a", board)], RUN, None, 5.0, tell=told.append) as fleet:
        fleet.greet()
        start_session(fleet, bundle, placement, None)
    assert time.monotonic() - asked[0] > 2.0
    assert told[0].startswith("a: still building: ")


def test_a_board_that_stops_telling_of_progress_is_given_up(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "LOAD_S", 0.4)

    def stuck(message: Message) -> Iterable[Message] | None:
        return [Progress(RUN, "building")] if isinstance(message, Assign) else None

    with FakeBoard(stuck) as board, open_fleet([entry("a", board)], RUN, None, 5.0) as fleet:
        fleet.greet()
        with pytest.raises(LinkTimeout, match="answers, but has not loaded its blocks within"):
            start_session(fleet, bundle, Placement({"a": ("block0", "block1")}), None)
