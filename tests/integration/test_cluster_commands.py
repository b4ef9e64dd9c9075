"""Boards of a run change while it goes on: they come back, are drained and added; the bits stay as they are."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.board_runs import run_alone
from support.chaos_boards import Board, boards, make_kinds
from support.chaos_trial import Trial
from support.pipelines import invoke
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256
from edgebll_firmware_host.run_files import control_client as asking

#: Ten seconds at least.
STEPS, PAUSE_S = 1200, 0.008
KINDS = make_kinds(STEPS, 400)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[list[Board], Path]]:
    with boards(tmp_path_factory.mktemp("plain") / "boards", 3, encrypted=False) as made:
        yield made


def status(run: Path) -> dict:
    found = json.loads(invoke("cluster", "status", run, "--json"))
    return {**found, "boards": {board["name"]: board for board in found["boards"]}}


def test_a_board_is_drained_and_added_again_and_so_is_a_new_one(
    side_bundle: Bundle, undisturbed: str, made: tuple[list[Board], Path], tmp_path: Path
) -> None:
    """The inventory has two boards only, and is not changed. The one that was drained is added by its name alone."""
    seen: list[dict] = []
    snapshots: list[int] = []
    inventory = made[1].read_text().partition('[[board]]\nname = "board2"')[0]
    (tmp_path / "two.toml").write_text(inventory)

    def drain(trial: Trial) -> None:
        seen.append(status(trial.run))
        assert "moved at a snapshot" in invoke("cluster", "drain", trial.run, "board1")
        for board, words in (("board9", "no board 'board9', only board0, board1"), ("board1", "")):
            result = CliRunner().invoke(app, ["cluster", "drain", str(trial.run), board])
            assert (result.exit_code, words in result.output) == ((2, True) if words else (0, True)), result.output

    def add(trial: Trial) -> None:
        seen.append(status(trial.run))
        snapshots.extend(int(path.name.removeprefix("step")) for path in (trial.run / "snapshots").glob("step*"))
        assert "is used from the next snapshot" in invoke("cluster", "add", trial.run, "board1")
        assert "is used from the next" in invoke("cluster", "add", trial.run, "board2", "--endpoint", made[0][2].endpoint)
        taken = CliRunner().invoke(app, ["cluster", "add", str(trial.run), "x", "--endpoint", made[0][0].endpoint])
        assert taken.exit_code == 2
        assert "two boards have the endpoint" in taken.output
        wrong = {"action": "add", "board": "y", "entry": {"name": "y", "endpoint": "foo"}}
        (trial.run / "requests" / "by-hand.json").write_text(json.dumps(wrong))  # the host refuses it too

    def look(trial: Trial) -> None:
        seen.append(status(trial.run))
        assert "step" in invoke("cluster", "status", trial.run)

    trial = Trial(side_bundle, KINDS, tmp_path / "two.toml", made[0], tmp_path / "run", pause_s=PAUSE_S)
    assert trial.go([(150, "drain", drain), (450, "add", add), (1150, "look", look)]) == undisturbed
    refused = json.loads((trial.run / "requests" / "by-hand.answer").read_text())
    assert refused == [False, "the request cannot be read: board y: an endpoint must look like tcp://HOST:PORT, not 'foo'"]
    first, drained, again = ({name: board["state"] for name, board in found["boards"].items()} for found in seen)
    assert first == {"board0": "working", "board1": "working"}, trial.lines
    assert drained == {"board0": "working", "board1": "drained"}
    assert again == {"board0": "working", "board1": "working", "board2": "working"}, trial.lines
    assert [found["recoveries"] for found in seen] == [0, 0, 0], "a change is no failure"
    assert [found["incarnation"] for found in seen[:2]] == [1, 2]
    assert any(150 <= step < 400 for step in snapshots), "it was moved at a snapshot of its own"
    assert (tmp_path / "two.toml").read_text() == inventory
    ended = status(trial.run)
    assert ended["phase"] == "ended"
    assert {board["state"] for board in ended["boards"].values()} == {"let go"}
    late = CliRunner().invoke(app, ["cluster", "drain", str(tmp_path), "board0"])
    assert late.exit_code == 3


def test_a_board_that_comes_back_gets_blocks_again(
    side_bundle: Bundle, undisturbed: str, made: tuple[list[Board], Path], tmp_path: Path
) -> None:
    seen: list[dict] = []

    def kill(trial: Trial) -> None:
        made[0][2].kill()
        trial.later(1.0, made[0][2].whole)

    def look(trial: Trial) -> None:
        seen.append(status(trial.run))

    trial = Trial(side_bundle, KINDS, made[1], made[0], tmp_path / "run", pause_s=PAUSE_S)
    faults: list[tuple[int, str, Callable[[Trial], None]]] = [(100, "kill", kill), (140, "look", look), (1150, "look", look)]
    assert trial.go(faults) == undisturbed
    assert {name: board["state"] for name, board in seen[-1]["boards"].items()} == dict.fromkeys(seen[-1]["boards"], "working")
    assert seen[-1]["recoveries"] == 1
    assert any("board2 answers: blocks are placed anew" in line for line in trial.lines)


def test_a_killed_host_is_known_at_once_and_a_frozen_one_after_a_while(
    side_bundle: Bundle, undisturbed: str, made: tuple[list[Board], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "STALE_S", 2.0)

    def refused(trial: Trial, words: str) -> None:
        result = CliRunner().invoke(app, ["cluster", "drain", str(trial.run), "board1"])
        assert result.exit_code == 7, result.output
        assert words in result.output

    def freeze(trial: Trial) -> None:
        real = time.time
        for off_s in (0.0, 3600.0, -3600.0):  # the clock of whoever asks
            with monkeypatch.context() as clock:
                clock.setattr(time, "time", lambda off_s=off_s: real() + off_s)
                assert status(trial.run)["host"] == "working"
        trial.host_signal(signal.SIGSTOP)
        refused(trial, "has been silent for")
        assert "has been silent for" in invoke("cluster", "status", trial.run)
        trial.host_signal(signal.SIGCONT)

    def kill(trial: Trial) -> None:
        trial.end_host()
        assert "is gone, --resume goes on" in invoke("cluster", "status", trial.run)
        refused(trial, "no host works on")
        trial.kill_host()

    trial = Trial(side_bundle, KINDS, made[1], made[0], tmp_path / "run", pause_s=PAUSE_S)
    assert trial.go([(100, "freeze", freeze), (300, "kill", kill)]) == undisturbed


def test_the_last_board_cannot_be_drained(side_bundle: Bundle, made: tuple[list[Board], Path], tmp_path: Path) -> None:
    def drain(trial: Trial) -> None:
        for name in ("board0", "board1"):
            invoke("cluster", "drain", trial.run, name)
        last = CliRunner().invoke(app, ["cluster", "drain", str(trial.run), "board2"])
        assert last.exit_code == 2
        assert "board2 is the last board of the run" in last.output

    kinds = make_kinds(900, 1000)  # it has to go on for all three
    trial = Trial(side_bundle, kinds, made[1], made[0], tmp_path / "run", pause_s=PAUSE_S)
    assert trial.go([(50, "drain", drain)]) == state_sha256(run_alone(side_bundle, kinds))
    found = status(trial.run)["boards"]
    assert [(name, board["state"], len(board["blocks"])) for name, board in sorted(found.items())] == [
        ("board0", "drained", 0),
        ("board1", "drained", 0),
        ("board2", "let go", 4),
    ]
