"""The host's loop against scripted boards: data that nobody takes, and tokens that nothing comes of."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.board_runs import Silent
from support.fake_board import FakeBoard, welcome
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError, BundleError, ConfigError, LinkError, LinkTimeout
from edgebll.kernel.microcontroller.block_memory import BlockMemory
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.transport import Receiver
from edgebll.kernel.wire import END, TRAIN, Assign, Failure, Hello, Message, Ping, Pong, Ready, Stop, Token
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.policy import memory_need
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.run_request import Outcome, RunRequest

RUN = "run"
Script = Callable[[Message], Iterable[Message] | None]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=1)


def tokens(bundle: Bundle) -> Iterator[Token]:
    for index in range(5):
        x, y = make_batch(bundle, index)
        yield Token(RUN, "block0", TRAIN, index, index, scalars={"lr": 0.1}, tensors={"x": x, "y": np.ascontiguousarray(y)})
    yield Token(RUN, "block0", END, 5, 5)


def run(bundle: Bundle, board: FakeBoard, folder: Path, stall_s: float = 300.0) -> Outcome:
    """Run the tokens over one board with a deadline of one second."""
    cluster = Cluster((BoardEntry("a", board.endpoint),), HostEntry(window=2, deadline_s=1.0, patience_s=0.0))
    with RunFolder.create(folder, {}) as opened:
        recorder = Recorder(opened, Silent(), ("block0",), 4, 5, 4)
        return run_on_boards(
            RunRequest(bundle, RUN, lambda _: tokens(bundle), stall_s=stall_s), RunningAgents(cluster), recorder
        )


def ready_at(data_endpoint: str, more: Script = lambda _: None) -> Script:
    """A board that takes data at this address."""

    def answer(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Hello):
            return [welcome(data_endpoint=data_endpoint)]
        return [Ready(RUN, 0.0, incarnation=1)] if isinstance(message, Assign) else more(message)

    return answer


def test_a_closed_data_port_is_named_and_heartbeats_go_on_meanwhile(bundle: Bundle, tmp_path: Path) -> None:
    with FakeBoard(ready_at("tcp://127.0.0.1:9")) as board:
        with pytest.raises(LinkTimeout, match=r"board a at .* answers, but has taken no data at tcp://127.0.0.1:9 for 2 s"):
            run(bundle, board, tmp_path / "run")
        pings = board.times(Ping)
        assert len(pings) >= 4
        assert max(later - earlier for earlier, later in itertools.pairwise(pings)) < 1.9, "less than the 2 s"
        assert board.times(Stop)


def test_blocks_are_planned_for_microcontrollers_before_a_board_is_greeted(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning takes seconds, and a board that hears nothing from its host for so long drops the run."""
    greeted: list[int] = []

    def memories(_: Bundle) -> list[BlockMemory]:
        greeted.append(len(board.times(Hello)))
        raise BundleError("no block of it fits")

    monkeypatch.setattr(memory_need, "block_memories", memories)
    with FakeBoard(ready_at("tcp://127.0.0.1:9")) as board, RunFolder.create(tmp_path / "run", {}) as opened:
        cluster = Cluster(
            (BoardEntry("a", board.endpoint, runtime=SERIAL),), HostEntry(window=2, deadline_s=1.0, patience_s=0.0)
        )
        with pytest.raises(ConfigError, match="has no runtime 'serial'"):
            run_on_boards(
                RunRequest(bundle, RUN, lambda _: tokens(bundle)),
                RunningAgents(cluster),
                Recorder(opened, Silent(), ("block0",), 4, 5, 4),
            )
    assert greeted == [0]


def test_tokens_that_nothing_comes_of_have_a_deadline(bundle: Bundle, tmp_path: Path) -> None:
    with Receiver("tcp://127.0.0.1:0") as data, FakeBoard(ready_at(data.endpoint)) as board:
        with pytest.raises(LinkTimeout, match="nothing has come through for 1 s although all boards answer"):
            run(bundle, board, tmp_path / "run", stall_s=0.6)
        fed = []
        while (message := data.receive(0.2)) is not None:
            fed.append(message)
    assert len(fed) == 2, "the window, and no more"


def test_boards_that_all_have_nothing_to_do_are_not_waited_for(bundle: Bundle, tmp_path: Path) -> None:
    """Long before `stall_s`: they say with their heartbeats that what was sent to them has not come."""

    def idle(message: Message) -> Iterable[Message] | None:
        return [Pong(message.sent_ns, 0, idle=True)] if isinstance(message, Ping) else None

    with (
        Receiver("tcp://127.0.0.1:0") as data,
        FakeBoard(ready_at(data.endpoint, idle)) as board,
        pytest.raises(LinkTimeout, match=r"nothing has come through for \d s although all boards answer"),
    ):
        run(bundle, board, tmp_path / "run", stall_s=20.0)


def test_a_data_connection_that_breaks_is_noticed_at_once(bundle: Bundle, tmp_path: Path) -> None:
    """What was on it may be lost, and nobody sends it again."""
    with Receiver("tcp://127.0.0.1:0") as data:

        def close(message: Message) -> Iterable[Message] | None:
            if isinstance(message, Ping) and data.receive(0.0) is not None:
                data.close()
            return None

        with (
            FakeBoard(ready_at(data.endpoint, close)) as board,
            pytest.raises(LinkError, match=r"the data connection to board a at .* broke"),
        ):
            run(bundle, board, tmp_path / "run", stall_s=20.0)


def test_the_number_of_an_incarnation_is_on_the_disk_before_a_board_hears_of_it(bundle: Bundle, tmp_path: Path) -> None:
    seen: list[tuple[int, dict]] = []

    def look(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Hello):
            seen.append((message.incarnation, json.loads((tmp_path / "run" / "incarnation.json").read_text())))
        return [Failure(RUN, 8, "board fake: on fire", incarnation=1)]

    with FakeBoard(look) as board, pytest.raises(BoardError, match="on fire"):
        run(bundle, board, tmp_path / "run")
    assert seen == [(1, {"incarnation": 1})]


def test_a_board_that_fails_in_mid_run_ends_it_with_its_own_words(bundle: Bundle, tmp_path: Path) -> None:
    def fail(message: Message) -> Iterable[Message] | None:
        return [Failure(RUN, 8, "board fake: on fire")] if isinstance(message, Ping) else None

    with Receiver("tcp://127.0.0.1:0") as data, FakeBoard(ready_at(data.endpoint, fail)) as board:
        with pytest.raises(BoardError, match=r"board a at tcp://127.0.0.1:\d+: on fire"):
            run(bundle, board, tmp_path / "run")
        assert board.times(Stop)


def test_a_token_that_was_refused_is_sent_again_once_the_board_takes_data(bundle: Bundle, tmp_path: Path) -> None:
    """The data port opens only after the second heartbeat; nothing is missing and nothing comes twice."""
    with Receiver("tcp://127.0.0.1:0") as reserved:
        endpoint = reserved.endpoint
    opened: list[Receiver] = []
    pings: list[Message] = []

    def open_late(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Ping):
            pings.append(message)
        if len(pings) >= 2 and not opened:
            opened.append(Receiver(endpoint))
        return None

    with FakeBoard(ready_at(endpoint, open_late)) as board, pytest.raises(LinkTimeout, match="nothing has come through"):
        run(bundle, board, tmp_path / "run", stall_s=1.5)
    with opened[0] as data:
        fed = [data.receive(1.0), data.receive(1.0), data.receive(0.1)]
    assert [token.sequence if isinstance(token, Token) else None for token in fed] == [0, 1, None]
