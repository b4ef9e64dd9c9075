"""Doing the runs of a table: one after another, or several trainings at once in processes of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgebll.data.registry import FILES, find_dataset
from edgebll.kernel.errors import DataError, EdgebllError
from edgebll.learning.reproduce.cells import Cell, placed
from edgebll.learning.reproduce.cost import measure_cell, measured_outcome
from edgebll.learning.reproduce.one_run import DONE, FAILED, PAUSED, SKIPPED, Clock, outcome_of, run_cell, state_of
from edgebll.learning.reproduce.recipe import COST, Recipe

#: What is left for a compiled training must be more than this, or it is not begun: the first step waits for the compiler.
COMPILE_S = 120.0


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        recipe: the table.
        scale: "full" or "small".
        cells: its runs, in order.
        folder: OUT/TABLE/SCALE, where the runs' folders are.
        data_dir: where the data sets' files are.
        parallel: trainings at once.
        how: where and how each is computed, as `edgebll.learning.reproduce.cells.placed` takes it.
        minutes: begin nothing after so long; None for as long as it takes.
        source: what `read_recipe` takes to read the recipe again in another process.
        say: told how it goes, a line at a time.
    """

    recipe: Recipe
    scale: str
    cells: Sequence[Cell]
    folder: Path
    source: str
    say: Callable[[str], None]
    data_dir: Path | None = None
    parallel: int = 1
    how: Mapping[str, Any] = field(default_factory=lambda: {"threads": 1})
    minutes: float | None = None

    @property
    def runs(self) -> Path:
        """Where the runs' folders are."""
        return self.folder / "runs"


def do(work: Work) -> list[Cell]:
    """Do the runs that are not done yet, as far as the time goes; returns all cells, with reasons for those left out.

    Raises:
        DataError: a data set is missing and nothing is left that does without. ConfigError, StorageError: see `run_cell`.
        EdgebllError: a measuring process failed.
    """
    cells = [placed(cell, work.how) for cell in _without_missing_data(work)]
    start = time.monotonic()
    clock = Clock(start, None if work.minutes is None else start + 60 * work.minutes)
    open_cells = [cell for cell in cells if outcome(work.recipe, cell, work.runs)["state"] not in (DONE, FAILED, SKIPPED)]
    for reason, count in Counter(cell.reason for cell in cells if cell.reason).items():
        work.say(f"{count} of {len(cells)} runs are left out: {reason}")
    if work.recipe.kind == COST or work.parallel == 1:
        _one_by_one(work, open_cells, clock)
    else:
        _at_once(work, open_cells, clock)
    return cells


def outcome(recipe: Recipe, cell: Cell, runs: Path) -> dict[str, Any]:
    """What came of a cell, as `outcome_of` or `measured_outcome` tell."""
    return (measured_outcome if recipe.kind == COST else outcome_of)(cell, runs)


def _one_by_one(work: Work, cells: Sequence[Cell], clock: Clock) -> None:
    for number, cell in enumerate(cells):
        if clock.is_over() or (number and clock.would_pass(_start_s(cell))):
            return
        if work.recipe.kind == COST:
            measure_cell(cell, work.runs, work.say)
        elif run_cell(cell, work.runs, clock, work.data_dir, work.say) == PAUSED:
            return


def _start_s(cell: Cell) -> float:
    """How long a training gets nowhere at first."""
    return COMPILE_S if cell.config is not None and cell.config.compile else 0.0


def _at_once(work: Work, cells: Sequence[Cell], clock: Clock) -> None:
    """Several trainings at a time, each in a process; after an error those under way go on to their end."""
    left, running, processes = list(cells), set[Future[str]](), Processes()
    with ThreadPoolExecutor(work.parallel) as pool:
        try:
            while left or running:
                while left and len(running) < work.parallel and not clock.is_over():
                    running.add(pool.submit(processes.train, work, left.pop(0), clock))
                done, running = wait(running, return_when=FIRST_COMPLETED)
                if clock.is_over() or any(future.exception() or future.result() == PAUSED for future in done):
                    left.clear()  # the time is up, or nearly; or something is to be mended first
                for future in done:
                    future.result()
        except KeyboardInterrupt:
            processes.interrupt()  # the pool waits for them; each has a checkpoint to go on from
            raise


class Processes:
    """The training processes under way."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def train(self, work: Work, cell: Cell, clock: Clock) -> str:
        """Train one cell in a process of its own, which says itself how it goes; returns what `run_cell` does.

        Raises:
            EdgebllError: it ended with an error.
        """
        environment = {**os.environ, "OMP_NUM_THREADS": str(work.how["threads"])}
        command = [sys.executable, "-m", "edgebll.learning.reproduce.worker", json.dumps(_told(work, cell, clock))]
        with self._lock:
            process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
            self._running.add(process)
        with process:
            told = process.communicate()[0].strip()
        with self._lock:
            self._running.discard(process)
        if process.returncode:
            raise EdgebllError(f"{cell.title}: {told or 'its process was killed; run the same command again'}")
        return told

    def interrupt(self) -> None:
        """Tell all of them to stop."""
        with self._lock:
            for process in self._running:
                process.send_signal(signal.SIGINT)


def _told(work: Work, cell: Cell, clock: Clock) -> dict[str, Any]:
    """What `edgebll.learning.reproduce.worker` is told."""
    return {
        "table": work.source,
        "scale": work.scale,
        "cell": cell.folder,
        "seed": cell.seed,
        "runs": str(work.runs.absolute()),
        "data_dir": None if work.data_dir is None else str(work.data_dir),
        "how": dict(work.how),
        "seconds": None if clock.deadline is None else clock.deadline - time.monotonic(),
        "parent": os.getpid(),
    }


def _without_missing_data(work: Work) -> list[Cell]:
    """The cells, those whose data set is missing with that as the reason.

    Raises:
        DataError: nothing is left.
    """
    if work.recipe.kind == COST:
        return list(work.cells)
    missing: dict[str, str] = {}
    for name in {cell.config.data for cell in work.cells if cell.config is not None} & set(FILES):
        try:
            find_dataset(name, work.data_dir)
        except DataError as error:
            missing[name] = str(error)
    cells = [_left_out(cell, missing, work.runs) for cell in work.cells]
    if missing and all(cell.config is None for cell in cells):
        raise DataError("; ".join(missing.values()))
    return cells


def _left_out(cell: Cell, missing: dict[str, str], runs: Path) -> Cell:
    if cell.config is None or cell.config.data not in missing:
        return cell
    with contextlib.suppress(EdgebllError):
        if state_of(cell, runs) in (DONE, FAILED):
            return cell
    return replace(cell, config=None, reason=missing[cell.config.data])


def unfinished(recipe: Recipe, cells: Sequence[Cell], runs: Path) -> int:
    """Runs that could go on or begin."""
    return sum(outcome(recipe, cell, runs)["state"] not in (DONE, FAILED, SKIPPED) for cell in cells)
