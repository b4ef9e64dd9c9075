"""Doing a table's runs: whole ones stay, killed ones go on bit for bit, the time is kept, and what fails is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.recipes import write_recipe

from edgebll.kernel.errors import DataError
from edgebll.learning.reproduce import runner
from edgebll.learning.reproduce.cells import Cell, cells_of, placed
from edgebll.learning.reproduce.one_run import DONE, FAILED, OPEN, PAUSED, Clock, outcome_of, run_cell, state_of
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.runner import Work, do, outcome
from edgebll.learning.reproduce.warm_pool import WarmPool

UNLIMITED = Clock(0.0)


def cells(folder: Path, *changes: tuple[str, str]) -> list[Cell]:
    return cells_of(read_recipe(str(write_recipe(folder, *changes))), "small")


def summary(cell: Cell, runs: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((runs / cell.folder / "summary.json").read_text())
    return found


def test_a_whole_run_is_not_run_again(tmp_path: Path) -> None:
    cell = cells(tmp_path)[0]
    lines: list[str] = []
    assert state_of(cell, tmp_path) == OPEN
    assert run_cell(cell, tmp_path, UNLIMITED, say=lines.append) == DONE
    assert lines[0] == "BP, digits MLP, 1 block, seed 0: begins of 20 steps"
    assert lines[-1].startswith("BP, digits MLP, 1 block, seed 0: epoch 2, accuracy ")
    first = (tmp_path / cell.folder / "summary.json").stat().st_mtime_ns
    assert run_cell(cell, tmp_path, UNLIMITED) == DONE
    assert (tmp_path / cell.folder / "summary.json").stat().st_mtime_ns == first


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    """The process is killed in its fourth epoch; the run then ends as an undisturbed one."""
    path = write_recipe(tmp_path, ("epochs = 2", "epochs = 60"))
    told = {"table": str(path), "scale": "small", "seeds": 1, "rules": ["Local"], "runs": str(tmp_path / "a")}
    told |= {"data_dir": None, "how": {"threads": 1}, "parent": os.getpid()}
    command = [sys.executable, "-m", "edgebll.learning.reproduce.worker", json.dumps(told)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(json.dumps({"cell": "digits-mlp-local-k2-seed0", "seconds": None}) + "\n")
        process.stdin.flush()
        assert any("epoch 3" in line for line in process.stderr)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    cell = cells(tmp_path, ("epochs = 2", "epochs = 60"))[1]
    assert state_of(cell, tmp_path / "a") == PAUSED
    lines: list[str] = []
    for runs in ("a", "b"):
        assert run_cell(cell, tmp_path / runs, UNLIMITED, say=lines.append) == DONE
    assert "goes on at step" in lines[0]
    assert summary(cell, tmp_path / "a")["state_sha256"] == summary(cell, tmp_path / "b")["state_sha256"]


def test_traces_of_a_start_that_was_cut_off_do_no_harm(tmp_path: Path) -> None:
    cell = cells(tmp_path)[0]
    (tmp_path / cell.folder).mkdir()
    (tmp_path / cell.folder / "run.json.partial").write_text("{")
    assert run_cell(cell, tmp_path, UNLIMITED, say=lambda _: None) == DONE


class Ticks:
    """A clock for `time.monotonic` that moves by a second whenever it is asked for."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("seconds", [6.0, 15.0, 60.0])
def test_a_run_pauses_at_a_checkpoint_and_always_gets_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Whether there is time for less than one checkpoint interval or for more: each of several calls gets further."""
    monkeypatch.setattr(time, "monotonic", Ticks())
    cell, steps = cells(tmp_path)[1], []
    for _ in range(30):
        start = time.monotonic()
        state = run_cell(cell, tmp_path, Clock(start, start + seconds), say=lambda _: None)
        if state == DONE:
            break
        assert state == PAUSED
        steps.append(json.loads((tmp_path / cell.folder / "checkpoint" / "progress.json").read_text())["step"])
    assert state == DONE
    assert len(steps) > 1
    assert steps == sorted(set(steps))
    monkeypatch.undo()
    whole = tmp_path / "whole"
    run_cell(cell, whole, UNLIMITED, say=lambda _: None)
    assert summary(cell, tmp_path)["state_sha256"] == summary(cell, whole)["state_sha256"]


def test_a_run_stops_when_told(tmp_path: Path) -> None:
    cell = cells(tmp_path)[0]
    assert run_cell(cell, tmp_path, Clock(0.0, None, lambda: True), say=lambda _: None) == PAUSED
    assert state_of(cell, tmp_path) == PAUSED


def test_a_loss_that_is_no_number_is_told_and_not_tried_again(tmp_path: Path) -> None:
    cell = cells(tmp_path, ("lr = 0.02", "lr = 1e30"))[0]
    assert run_cell(cell, tmp_path, UNLIMITED, say=lambda _: None) == FAILED
    assert run_cell(cell, tmp_path, UNLIMITED, say=pytest.fail) == FAILED
    assert "not a number any more" in outcome(read_recipe("bll-table1"), cell, tmp_path)["reason"]


def work(folder: Path, runs: Sequence[Cell], parallel: int = 1, **options: object) -> Work:
    path = folder / "tiny.toml"
    fixed = Work(read_recipe(str(path)), "small", runs, folder / "out", str(path), lambda _: None, parallel=parallel)
    return replace(fixed, **options)  # type: ignore[arg-type]


@pytest.mark.slow
def test_several_at_once_give_the_same(tmp_path: Path) -> None:
    """In processes of their own, as one after another here."""
    found = cells(tmp_path)
    lines: list[str] = []
    do(work(tmp_path, found, parallel=2, say=lines.append))
    assert lines == ["1 of 3 runs are over", "2 of 3 runs are over", "3 of 3 runs are over"]
    do(replace(work(tmp_path, found), folder=tmp_path / "other"))
    for cell in found:
        digests = {summary(cell, tmp_path / place / "runs")["state_sha256"] for place in ("out", "other")}
        assert len(digests) == 1


def test_nothing_is_begun_when_the_time_is_up(tmp_path: Path) -> None:
    found = cells(tmp_path)
    for parallel in (1, 2):
        do(work(tmp_path, found, parallel=parallel, minutes=1e-9))
    assert not (tmp_path / "out").exists()


def test_nothing_is_begun_after_a_run_has_paused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It paused because there was no time for another piece of work."""
    begun: list[Cell] = []
    monkeypatch.setattr(runner, "run_cell", lambda cell, *_: begun.append(cell) or PAUSED)
    monkeypatch.setattr(WarmPool, "train", lambda self, cell, clock: begun.append(cell) or PAUSED)
    found = cells(tmp_path, ("[2, 3]", "[1, 2, 3]"))
    for parallel in (1, 2):
        begun.clear()
        do(work(tmp_path, found, parallel=parallel))
        assert begun == [replace(cell, config=replace(cell.config, threads=1)) for cell in found[:parallel] if cell.config]


def test_a_compiled_training_is_not_begun_at_the_end_of_the_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler takes most of two minutes; the first training of a call is begun all the same."""
    begun: list[Cell] = []
    monkeypatch.setattr(runner, "run_cell", lambda cell, *_: begun.append(cell) or DONE)
    found = cells(tmp_path)
    how = {"threads": 1, "device": "cpu", "channels_last": True}
    for compiled, minutes, expected in ((True, 1.9, 1), (True, 60, 3), (False, 1.9, 3)):
        begun.clear()
        do(work(tmp_path, found, minutes=minutes, how={**how, "compile": compiled}))
        assert begun == [placed(cell, {**how, "compile": compiled}) for cell in found[:expected]]


def test_a_run_is_the_same_wherever_it_is_computed(tmp_path: Path) -> None:
    """Begun with channels last, as on a GPU, it goes on without; the outcome says how it ended."""
    plain = cells(tmp_path)[1]
    lines: list[str] = []
    assert (
        run_cell(placed(plain, {"channels_last": True}), tmp_path, Clock(0.0, None, stop_after(5)), say=lines.append) == PAUSED
    )
    assert state_of(plain, tmp_path) == PAUSED
    assert run_cell(plain, tmp_path, UNLIMITED, say=lambda _: None) == DONE
    found = outcome_of(placed(plain, {"device": "cuda", "compile": True}), tmp_path)
    assert (found["state"], found["device"], found["compile"], found["channels_last"]) == (DONE, "cpu", False, False)


def stop_after(count: int) -> Callable[[], bool]:
    """Says to stop when it is asked for the so-manieth time."""
    asked = iter(range(count))
    return lambda: next(asked, None) is None


def test_runs_without_their_data_are_left_out(tmp_path: Path) -> None:
    """The others are done; where none is left that is an error."""
    second = (
        '[[settings]]\nname = "CIFAR"\nblocks = [2]\ntrain = { data = "cifar-10", network = "mlp" }\n\n[[rules]]\nname = "BP"'
    )
    found = cells(tmp_path, ('[[rules]]\nname = "BP"', second))
    empty = tmp_path / "empty"
    empty.mkdir()
    lines: list[str] = []
    done, _ = do(work(tmp_path, found, data_dir=empty, say=lines.append))
    assert lines[0].startswith("2 of 5 runs are left out: the data set cifar-10 was not found in")
    assert [bool(cell.reason) for cell in done] == [cell.setting.name == "CIFAR" for cell in found]
    assert "`edgebll data fetch cifar-10`" in done[-1].reason
    with pytest.raises(DataError, match="the data set cifar-10 was not found in"):
        do(work(tmp_path, [cell for cell in found if cell.setting.name == "CIFAR"], data_dir=empty))


def test_a_run_from_before_there_was_an_option_counts_as_one_with_its_default(tmp_path: Path) -> None:
    cell = cells(tmp_path)[1]
    run_cell(cell, tmp_path, UNLIMITED, say=lambda _: None)
    path = tmp_path / cell.folder / "run.json"
    config = json.loads(path.read_text())
    assert config["rule_options"].pop("match_growth") == 0.0
    path.write_text(json.dumps(config))
    assert state_of(cell, tmp_path) == DONE
