"""The queue of runs: the order they are begun in, and that none is lost or trained twice whoever is killed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.recipes import write_recipe

from edgebll.kernel.errors import ConfigError, StorageError
from edgebll.learning.reproduce.cell_claim import claimed, is_claimed
from edgebll.learning.reproduce.cell_queue import CellQueue, queued
from edgebll.learning.reproduce.cell_times import MEASURED, CellTimes, duration_text
from edgebll.learning.reproduce.cells import Cell, cells_of
from edgebll.learning.reproduce.one_run import BUSY, DONE, OPEN, PAUSED, Clock, run_cell, state_of
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.warm_pool import ProcessEndedError

KILLED = ProcessEndedError("its process was killed by signal 9")


def cells(folder: Path, seeds: int = 1) -> list[Cell]:
    return cells_of(read_recipe(str(write_recipe(folder))), "small", seeds)


def queue(folder: Path, found: list[Cell], lines: list[str] | None = None, at_once: int = 1) -> CellQueue:
    runs, say = folder / "runs", (lines if lines is not None else []).append
    return CellQueue(found, runs, len(found), CellTimes(found, runs), at_once, say)


def measured(folder: Path, *entries: tuple[str, str, int, float]) -> CellTimes:
    """Times of steps that were measured, of (setting, rule, blocks, seconds)."""
    names = ("setting", "rule", "blocks", "seconds")
    (folder / MEASURED).write_text(json.dumps({"cells": [dict(zip(names, entry, strict=True)) for entry in entries]}))
    return CellTimes([], folder / "runs")


TWO_SETTINGS = (
    '[[rules]]\nname = "BP"',
    '[[settings]]\nname = "other"\nblocks = [2]\ntrain = { data = "digits", network = "mlp" }\n\n[[rules]]\nname = "BP"',
)
GREEDY = ("[[published]]", '[[rules]]\nname = "GLL"\nrule = "greedy"\n\n[[published]]')


def test_the_cheapest_that_tells_most_is_begun_first(tmp_path: Path) -> None:
    """Seed by seed; the quicker setting; in it the baseline and greedy learning; then the quicker of the others."""
    sources = ("[sources]", '[sources]\ngreedy = "ours"')
    recipe = read_recipe(str(write_recipe(tmp_path, TWO_SETTINGS, GREEDY, sources)))
    times = measured(
        tmp_path,
        *[("digits MLP", "BP", 1, 90.0), ("digits MLP", "Local", 2, 80.0), ("digits MLP", "Local", 3, 70.0)],
        *[("digits MLP", "GLL", 2, 60.0), ("digits MLP", "GLL", 3, 65.0)],
        *[("other", "BP", 1, 9.0), ("other", "Local", 2, 5.0), ("other", "GLL", 2, 7.0)],
    )
    order = queued(cells_of(recipe, "small", 2), recipe, times)
    assert [cell.seed for cell in order] == [0] * 8 + [1] * 8
    told = [(cell.setting.name, cell.row.name, cell.blocks) for cell in order[:8]]
    assert told[:3] == [("other", "GLL", 2), ("other", "BP", 1), ("other", "Local", 2)]
    assert [each[1:] for each in told[3:]] == [("GLL", 2), ("GLL", 3), ("BP", 1), ("Local", 3), ("Local", 2)]


def test_without_times_the_order_is_the_recipe_s(tmp_path: Path) -> None:
    found = cells(tmp_path, 2)
    recipe = read_recipe(str(tmp_path / "tiny.toml"))
    assert queued(found, recipe, CellTimes(found, tmp_path / "runs")) == found


def test_a_killed_one_is_tried_once_more_after_the_others(tmp_path: Path) -> None:
    first, second, third = found = cells(tmp_path)
    lines: list[str] = []
    own = queue(tmp_path, found, lines)
    assert own.take() == first
    own.failed(first, KILLED)
    for expected in (second, third):
        assert own.take() == expected
        own.ended(expected, DONE)
    assert own.take() == first
    assert not own.errors
    own.failed(first, KILLED)
    assert own.take() is None
    assert own.errors == {first.folder: KILLED}
    assert lines[0] == f"{first.title}: its process has ended; it goes on from its checkpoint after the others"
    assert lines[-1] == f"{first.title}: its process was killed by signal 9"


def test_other_errors_are_not_tried_again_and_a_full_disk_ends_all(tmp_path: Path) -> None:
    first, second, _ = found = cells(tmp_path)
    own = queue(tmp_path, found)
    own.take()
    own.failed(first, ConfigError("wrong"))
    assert own.take() == second
    own.failed(second, StorageError("full"))
    assert own.take() is None
    assert list(own.errors) == [first.folder, second.folder]


def test_one_that_another_process_trains_is_taken_when_that_process_ends(tmp_path: Path) -> None:
    first, second, third = found = cells(tmp_path)
    lines: list[str] = []
    own = queue(tmp_path, found, lines)
    with claimed(first.folder, tmp_path / "runs") as ours:
        assert ours
        own.take()
        own.ended(first, BUSY)
        assert [own.take(), own.take()] == [second, third]
        own.ended(second, DONE)
        own.ended(third, DONE)
        assert own.take() is None
        assert own.waits
    assert own.take() == first
    assert not own.waits
    assert lines[-1] == "1 run is being trained by another process; waiting for it"


def test_a_cell_is_trained_by_one_process_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second leaves it alone, folder and all."""
    cell, runs = cells(tmp_path)[0], tmp_path / "runs"
    with claimed(cell.folder, runs):
        assert is_claimed(cell.folder, runs)
        assert run_cell(cell, runs, Clock(0.0), say=pytest.fail) == BUSY
        assert state_of(cell, runs) == OPEN
        assert not (runs / cell.folder).exists()
    assert not is_claimed(cell.folder, runs)
    assert run_cell(cell, runs, Clock(0.0), say=lambda _: None) == DONE


def test_nothing_is_begun_after_one_paused(tmp_path: Path) -> None:
    first, *_ = found = cells(tmp_path)
    own = queue(tmp_path, found)
    own.take()
    own.ended(first, PAUSED)
    assert own.take() is None


def test_time_left_counts_checkpoints_and_trainings_at_once(tmp_path: Path) -> None:
    """Known of whole runs; of others as the mean of their setting; what a checkpoint has is done."""
    found, runs = cells(tmp_path, 2), tmp_path / "runs"
    assert CellTimes(found, runs).left(found, 1) is None
    for cell, seconds in ((found[0], 100.0), (found[1], 200.0)):
        (runs / cell.folder).mkdir(parents=True)
        (runs / cell.folder / "summary.json").write_text(json.dumps({"seconds": seconds}))
    begun = runs / found[3].folder / "checkpoint"
    begun.mkdir(parents=True)
    (begun / "progress.json").write_text('{"seconds": 40.0}')
    times = CellTimes(found, runs)
    assert times.left(found[2:], 2) == pytest.approx((150.0 + (100.0 - 40.0) + 200.0 + 150.0) / 2)
    lines: list[str] = []
    own = CellQueue(found[2:], runs, len(found), times, 2, lines.append)
    begun_now = own.take()
    assert begun_now is not None
    own.ended(begun_now, DONE)
    assert lines == ["3 of 6 runs are over, about 3 min left"]


@pytest.mark.parametrize(("seconds", "text"), [(1, "1 min"), (3540, "59 min"), (3570, "1 h 00 min"), (45296, "12 h 35 min")])
def test_times_are_told_in_minutes(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text
