"""The host and boards that end in order: while they load, and where none is left."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.board_runs import Silent, make_tokens
from support.fake_board import FakeBoard
from support.tiny_bundle import make_tiny_bundle

from edgebll.kernel.errors import BoardError, LinkError, LinkTimeout
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.wire import END, TRAIN, Assign, Failure, Leaving, Message, Stop
from edgebll_firmware_host.engines.local_processes import RunningAgents
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry
from edgebll_firmware_host.policy.membership import Membership
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.reconfiguration import Reconfiguration
from edgebll_firmware_host.run.run_request import RunRequest

RUN = "run"


def run(board: FakeBoard, tmp_path: Path, *, resumed: bool) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", blocks=1)
    cluster = Cluster((BoardEntry("a", board.endpoint),), HostEntry(deadline_s=2.0, patience_s=20.0))
    with RunFolder.create(tmp_path / RUN, {}) as folder:
        recorder = Recorder(folder, Silent(), ("block0",), 4, 5, 4)
        request = RunRequest(bundle, RUN, lambda start: make_tokens(bundle, [TRAIN, END], RUN, start), resumed=resumed)
        run_on_boards(request, RunningAgents(cluster), recorder)


def leaves_while_loading(then: str) -> Callable[[Message], Iterable[Message] | None]:
    """A board that is told to end when it is assigned blocks; started again it fails for another reason."""
    assigned: list[Assign] = []

    def answer(message: Message) -> Iterable[Message] | None:
        if not isinstance(message, Assign):
            return None
        assigned.append(message)
        leaving = Leaving(RUN, 20.0, incarnation=message.incarnation)
        return [leaving] if len(assigned) == 1 else [Failure(RUN, 8, then, incarnation=message.incarnation)]

    return answer


def test_a_board_that_leaves_before_the_run_has_begun_ends_the_command(tmp_path: Path) -> None:
    with FakeBoard(leaves_while_loading("")) as board:
        with pytest.raises(LinkError, match=r"board a at .* is about to end; run again when it has been started again"):
            run(board, tmp_path, resumed=False)
        assert board.times(Stop)


def test_a_board_that_leaves_while_it_loads_is_let_go_and_used_when_it_is_back(tmp_path: Path) -> None:
    with FakeBoard(leaves_while_loading("on fire")) as board:
        with pytest.raises(BoardError, match="on fire"):
            run(board, tmp_path, resumed=True)
        heard = [message for _, message in board.heard if isinstance(message, (Assign, Stop)) and message.run == RUN]
    assert [(type(message), message.incarnation) for message in heard[:3]] == [(Assign, 1), (Stop, 1), (Assign, 2)]


def live(folder: Path) -> Reconfiguration:
    folder.mkdir()
    nothing: Any = SimpleNamespace(listener=Silent(), steps=0, written=-1)
    return Reconfiguration(folder, None, ["block0"], [1.0], nothing, nothing)


def test_it_is_not_waited_for_longer_than_the_patience_of_the_run(tmp_path: Path) -> None:
    cluster = Cluster((BoardEntry("a", "tcp://127.0.0.1:9"),))
    alone = live(tmp_path / "run")
    alone.members.left.add("a")
    for limit_s in (-1.0, 0.1):
        with pytest.raises(LinkTimeout, match=r"all boards left the run \(a\), and none came back within its patience"):
            alone.await_boards(cluster, limit_s)
    alone.close()


def test_the_first_that_is_back_is_taken(tmp_path: Path) -> None:
    with FakeBoard() as board:
        cluster = Cluster((BoardEntry("a", "tcp://127.0.0.1:9"), BoardEntry("b", board.endpoint)))
        waiting = live(tmp_path / "run")
        waiting.members.left |= {"a", "b"}
        assert [entry.name for entry in waiting.await_boards(cluster, 20.0)] == ["b"]
        assert waiting.members.left == {"a"}
        waiting.close()


def test_those_that_left_are_not_there_and_the_unfit_only_if_there_is_no_other() -> None:
    cluster = Cluster(tuple(BoardEntry(name, f"tcp://127.0.0.1:{port}") for port, name in enumerate("abc", 1)))
    members = Membership(unfit={"c"})

    def there() -> str:
        return "".join(entry.name for entry in members.there(cluster))

    assert there() == "ab"
    members.left |= {"a"}
    assert there() == "b"
    members.left |= {"b"}
    assert there() == "c"
    members.drained |= {"c"}
    assert there() == ""
    moved = dataclasses.replace(cluster.boards[0], endpoint="tcp://127.0.0.1:9")
    members.add(moved, cluster)
    assert members.there(cluster) == [moved], "who adds a board anew means that it is there, at this address"
