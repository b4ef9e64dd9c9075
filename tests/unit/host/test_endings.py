"""How an incarnation ends, against scripted boards: what is told of it decides what follows, and nothing else does."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from support.board_runs import Silent
from support.fake_board import FakeBoard, welcome
from support.tiny_bundle import make_batch, make_tiny_bundle

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError, LinkError
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.transport import Receiver
from edgebll.kernel.wire import END, TRAIN, Assign, Failure, Hello, Message, Ready, Stop, Token
from edgebll_firmware_host.fleet.board_sessions import open_fleet
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.run.endings import Ending, Failed, Regroup
from edgebll_firmware_host.run.incarnation import Incarnation
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.reconfiguration import Reconfiguration
from edgebll_firmware_host.run.run_context import RunContext
from edgebll_firmware_host.run.run_request import RunRequest
from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter

RUN = "run"
Script = Callable[[Message], Iterable[Message] | None]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny", blocks=1)


def tokens(bundle: Bundle) -> Iterator[Token]:
    for index in range(2):
        x, y = make_batch(bundle, index)
        yield Token(RUN, "block0", TRAIN, index, index, scalars={"lr": 0.1}, tensors={"x": x, "y": np.ascontiguousarray(y)})
    yield Token(RUN, "block0", END, 2, 2)


@dataclass
class Trial:
    """Runs single incarnations of one run."""

    context: RunContext
    live: Reconfiguration
    leaves: bool = False

    def incarnation(self, *boards: BoardEntry, turn: Callable[[], bool] = lambda: False) -> Ending:
        cluster = Cluster(boards, HostEntry(window=2, deadline_s=1.0))
        with open_fleet(boards, RUN, None, 1.0, incarnation=1) as fleet:
            ending = Incarnation(self.context, self.live, cluster, fleet, 1, turn).go()
            if self.leaves:
                fleet.leave()
            return ending


@pytest.fixture
def trial(bundle: Bundle, tmp_path: Path) -> Iterator[Trial]:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(RunFolder.create(tmp_path / "run", {}))
        recorder = Recorder(folder, Silent(), ("block0",), 4, 2, 4)
        snapshots = stack.enter_context(SnapshotWriter(bundle, recorder, 2))
        context = RunContext.of(
            RunRequest(bundle, RUN, lambda _: tokens(bundle)),
            recorder,
            snapshots,
            Cluster((BoardEntry("a", "tcp://127.0.0.1:1"),)),
        )
        live = Reconfiguration(folder.path, None, context.request.blocks, context.weights, recorder, snapshots)
        stack.callback(live.close)
        yield Trial(context, live)


def board(data_endpoint: str, asked: Script = lambda _: [Ready(RUN, 0.0, incarnation=1)]) -> FakeBoard:
    """Takes data at an address; `asked` answers when it is assigned blocks."""

    def answer(message: Message) -> Iterable[Message] | None:
        if isinstance(message, Hello):
            return [welcome(data_endpoint=data_endpoint)]
        return asked(message) if isinstance(message, Assign) else None

    return FakeBoard(answer)


def test_a_board_that_says_that_it_failed_is_the_suspect_by_its_own_report(trial: Trial) -> None:
    def fails(message: Message) -> list[Message]:
        return [Failure(RUN, BoardError.exit_code, "board fake: on fire", incarnation=1)]

    with board("tcp://127.0.0.1:9", fails) as a:
        ending = trial.incarnation(BoardEntry("a", a.endpoint))
    assert isinstance(ending, Failed)
    assert (ending.suspect, ending.reported) == ("a", True)
    assert isinstance(ending.error, BoardError)
    assert "on fire" in str(ending.error)
    assert not trial.context.begun, "nothing of it was ready"


def test_a_link_that_breaks_has_no_suspect(trial: Trial) -> None:
    with Receiver("tcp://127.0.0.1:0") as data, board(data.endpoint) as a:
        closed = threading.Event()

        def turn() -> bool:
            if not closed.is_set() and data.receive(0.0) is not None:
                data.close()
                closed.set()
            return False

        ending = trial.incarnation(BoardEntry("a", a.endpoint), turn=turn)
    assert isinstance(ending, Failed)
    assert (ending.suspect, ending.reported) == (None, False)
    assert isinstance(ending.error, LinkError)
    assert "the data connection to board a" in str(ending.error)
    assert trial.context.begun, "all blocks were ready: this is one to recover from"


def test_a_change_that_is_wanted_ends_it_without_a_failure(trial: Trial) -> None:
    with Receiver("tcp://127.0.0.1:0") as data, board(data.endpoint) as a:
        assert isinstance(trial.incarnation(BoardEntry("a", a.endpoint), turn=lambda: True), Regroup)
        assert a.times(Stop), "whoever does not leave a fleet ends its sessions"


def test_sessions_that_are_left_are_not_ended(trial: Trial) -> None:
    """The next incarnation's Hello does that; a board told to stop would let go of what it may still need."""
    trial.leaves = True
    with Receiver("tcp://127.0.0.1:0") as data, board(data.endpoint) as a:
        assert isinstance(trial.incarnation(BoardEntry("a", a.endpoint), turn=lambda: True), Regroup)
        assert not a.times(Stop)


def test_a_run_begins_anew_without_a_board_that_is_not_there(trial: Trial) -> None:
    with board("tcp://127.0.0.1:9") as a:
        ending = trial.incarnation(BoardEntry("a", a.endpoint), BoardEntry("b", "tcp://127.0.0.1:9"))
    assert isinstance(ending, Regroup)
    assert "b did not answer" in ending.why
    assert trial.context.missing == {"b"}
    assert not trial.context.lost
