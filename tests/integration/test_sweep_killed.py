"""A sweep whose driver or training process is killed, or that two drivers share: no run is lost, none trained twice."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from subprocess import Popen

import pytest
from support.killed_sweeps import check_like_undisturbed, start_sweep, trained_steps

STEPS = list(range(20 * 20))
pytestmark = pytest.mark.slow


def lines_until(process: Popen[str], words: str) -> list[str]:
    """What it says up to a line with these words."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


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
            _, told = second.communicate(timeout=300)
    assert second.returncode == 0, told
    assert "goes on at step" in told
    check_whole(tmp_path)


def test_a_killed_training_goes_on_by_itself(tmp_path: Path) -> None:
    with start_sweep(tmp_path) as process:
        lines = lines_until(process, "epoch 2,")
        children = [path.read_text().split() for path in Path(f"/proc/{process.pid}/task").glob("*/children")]
        os.kill(int(next(own[0] for own in children if own)), signal.SIGKILL)
        _, told = process.communicate(timeout=300)
    assert process.returncode == 0, told
    assert told.count("its process has ended; it goes on from its checkpoint after the others") == 1
    assert "".join([*lines, told]).count("begins of 400 steps") == 2
    check_whole(tmp_path)


def test_two_drivers_share_the_runs(tmp_path: Path) -> None:
    """Whoever has nothing left waits for the other, so that both end with all runs whole."""
    with start_sweep(tmp_path) as first:
        lines = lines_until(first, "begins of 400 steps")
        with start_sweep(tmp_path) as second:
            told = [process.communicate(timeout=300)[1] for process in (second, first)]
    assert (first.returncode, second.returncode) == (0, 0), told
    assert "".join([*lines, *told]).count("begins of 400 steps") == 2
    check_whole(tmp_path)
