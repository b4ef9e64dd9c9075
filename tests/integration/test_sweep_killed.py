"""A sweep whose driver or training process is killed, or that two drivers share: no run is lost, none trained twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from subprocess import Popen

import pytest
from support.killed_sweeps import check_like_undisturbed, start_sweep, trained_steps

from edgebll.learning.reproduce.cell_claim import claimed
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.recipe_file import read_recipe

STEPS = list(range(20 * 20))
pytestmark = pytest.mark.slow


def lines_until(process: Popen[str], *words: str) -> list[str]:
    """What it says until it has said all of these."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if all(any(each in own for own in lines) for each in words):
            return lines
    raise AssertionError("".join(lines))


def rest_of(process: Popen[str]) -> str:
    """What it says until it has ended."""
    assert process.stderr is not None
    said = process.stderr.read()
    process.wait(30)
    return said


def check_whole(folder: Path) -> None:
    """Every run has each step once, and the weights of an undisturbed one; nothing had to be finished."""
    assert trained_steps(folder) == [STEPS, STEPS]
    told = check_like_undisturbed(folder)
    assert not [line for line in told if "goes on" in line]


def test_the_same_command_goes_on_after_the_driver_was_killed(tmp_path: Path) -> None:
    """At once, while the training processes of the killed one may still be there: they end by themselves."""
    with start_sweep(tmp_path) as first:
        lines_until(first, "epoch 2,")
        os.kill(first.pid, signal.SIGKILL)
        with start_sweep(tmp_path) as second:
            told = rest_of(second)
    assert second.returncode == 0, told
    assert "goes on at step" in told
    check_whole(tmp_path)


def test_a_killed_training_goes_on_by_itself(tmp_path: Path) -> None:
    with start_sweep(tmp_path) as process:
        lines = lines_until(process, "seed 0: epoch 2,", "seed 1: epoch 2,")  # both have checkpoints
        children = [path.read_text().split() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
        os.kill(int(next(own[0] for own in children if own)), signal.SIGKILL)
        told = rest_of(process)
    assert process.returncode == 0, told
    assert told.count("its process has ended; it goes on from its checkpoint after the others") == 1
    assert "".join([*lines, told]).count("begins of 400 steps") == 2
    check_whole(tmp_path)


def test_two_drivers_share_the_runs(tmp_path: Path) -> None:
    """A run that another process has is left to it and waited for; when that one ends without it, it is done after all."""
    waits = "1 run is being trained by another process; waiting for it"
    with start_sweep(tmp_path) as process:
        runs = tmp_path / "a" / "mine" / "full" / "runs"
        first, second = cells_of(read_recipe(str(tmp_path / "mine.toml")), "full")
        with claimed(first.folder, runs) as ours:  # the imports of the sweep take longer
            assert ours
            lines = lines_until(process, waits)
            assert (runs / second.folder / "summary.json").exists()
            assert not (runs / first.folder).exists()
        told = rest_of(process)
    assert process.returncode == 0, told
    assert "".join([*lines, told]).count("begins of 400 steps") == 2
    check_whole(tmp_path)
