"""Doing the runs of a recipe: one after another here, or several trainings at once in processes that stay warm."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgebll.data.named_data import check_here
from edgebll.kernel.errors import DataError, EdgebllError
from edgebll.learning.reproduce.cell_claim import claimed
from edgebll.learning.reproduce.cell_queue import CellQueue, queued
from edgebll.learning.reproduce.cell_times import MEASURED, CellTimes
from edgebll.learning.reproduce.cells import Cell, placed
from edgebll.learning.reproduce.cost import measure_cell, measured_outcome
from edgebll.learning.reproduce.one_run import BUSY, DONE, FAILED, SKIPPED, Clock, outcome_of, run_cell, state_of
from edgebll.learning.reproduce.recipe import COST, MEDIUM, Recipe
from edgebll.learning.reproduce.step_times import measure_times
from edgebll.learning.reproduce.warm_pool import WarmPool
from edgebll.learning.training.torch_device import CPU

#: What is left for a compiled training must be more than this, or it is not begun: the first step waits for the compiler.
COMPILE_S = 120.0
#: How often to look whether another process still trains what is left.
_LOOK_S = 1.0


@dataclass(frozen=True)
class Work:
    """What is to be done.

    Attributes:
        recipe: the table.
        scale: "full", "medium" or "small".
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

    @property
    def measures(self) -> bool:
        """Whether steps are timed before anything is begun: where runs are long and nobody has, to begin with the quickest."""
        is_long = self.scale == MEDIUM and self.recipe.kind != COST and self.minutes is None
        return is_long and self.how.get("device", CPU) == CPU and not (self.folder / MEASURED).exists()


def do(work: Work) -> tuple[list[Cell], dict[str, EdgebllError]]:
    """Do the runs that are not done yet, as far as the time goes.

    One that fails does not end the others, but when the disk refuses nothing more is begun.

    Returns:
        All cells, with reasons for those left out or failed; and the errors by the cells' folders.

    Raises:
        DataError: a data set is missing and nothing is left that does without.
    """
    cells = runnable(work)
    start = time.monotonic()
    clock = Clock(start, None if work.minutes is None else start + 60 * work.minutes)
    for reason, count in Counter(cell.reason for cell in cells if cell.reason).items():
        work.say(f"{count} of {len(cells)} runs are left out: {reason}")
    open_cells = [cell for cell in cells if outcome(work.recipe, cell, work.runs)["state"] not in (DONE, FAILED, SKIPPED)]
    if work.measures:
        measure_times(cells, work.folder, work.data_dir, work.say)
    times, single = CellTimes(cells, work.runs), work.recipe.kind == COST or work.parallel == 1
    order = open_cells if work.recipe.kind == COST else queued(open_cells, work.recipe, times)
    queue = CellQueue(order, work.runs, len(cells), times, 1 if single else work.parallel, work.say)
    (_one_by_one if single else _at_once)(work, queue, clock)
    errors = queue.errors
    return [replace(cell, reason=str(errors[cell.folder])) if cell.folder in errors else cell for cell in cells], errors


def runnable(work: Work) -> list[Cell]:
    """All cells, placed where they are to be computed; those whose data are missing with that as the reason.

    Raises:
        DataError: a data set is missing and nothing is left that does without.
    """
    return [placed(cell, work.how) for cell in _without_missing_data(work)]


def listed(work: Work) -> list[Cell]:
    """The same to be looked at, which asks for no data."""
    with contextlib.suppress(DataError):
        return runnable(work)
    return [placed(cell, work.how) for cell in work.cells]


def outcome(recipe: Recipe, cell: Cell, runs: Path) -> dict[str, Any]:
    """What came of a cell, as `outcome_of` or `measured_outcome` tell; of one whose folder is another's, that it is open."""
    try:
        return (measured_outcome if recipe.kind == COST else outcome_of)(cell, runs)
    except EdgebllError as error:
        return {"state": "open", "reason": str(error)}


def _one_by_one(work: Work, queue: CellQueue, clock: Clock) -> None:
    begun = 0
    while not clock.is_over():
        cell = queue.take()
        if cell is None:
            if not queue.waits:
                return
            time.sleep(_LOOK_S)
            continue
        if begun and clock.would_pass(_start_s(cell)):
            return
        begun += 1
        try:
            queue.ended(cell, _done_here(work, cell, clock))
        except EdgebllError as error:
            queue.failed(cell, error)


def _done_here(work: Work, cell: Cell, clock: Clock) -> str:
    if work.recipe.kind == COST:
        with claimed(cell.folder, work.runs) as ours:
            return measure_cell(cell, work.runs, work.say, work.data_dir) if ours else BUSY
    return run_cell(cell, work.runs, clock, work.data_dir, work.say)


def _start_s(cell: Cell) -> float:
    """How long a training gets nowhere at first."""
    return COMPILE_S if cell.config is not None and cell.config.compile else 0.0


def _at_once(work: Work, queue: CellQueue, clock: Clock) -> None:
    """Several trainings at a time, each in a process that then takes the next one."""
    running = dict[Future[str], Cell]()
    with WarmPool(_told(work)) as pool, ThreadPoolExecutor(work.parallel) as threads:
        try:
            while True:
                while len(running) < work.parallel and not clock.is_over() and (cell := queue.take()):
                    running[threads.submit(pool.train, cell, clock)] = cell
                waits = queue.waits and not clock.is_over()
                if not running and not waits:
                    return
                if not running:
                    time.sleep(_LOOK_S)
                for future in wait(running, _LOOK_S if waits else None, FIRST_COMPLETED).done:
                    _take(future, running.pop(future), queue)
        except KeyboardInterrupt:
            pool.interrupt()  # the threads wait for the processes; each training has a checkpoint to go on from
            raise


def _take(future: Future[str], cell: Cell, queue: CellQueue) -> None:
    """Note how a training ended."""
    try:
        state = future.result()
    except EdgebllError as error:
        queue.failed(cell, error)
    else:
        queue.ended(cell, state)


def _told(work: Work) -> dict[str, Any]:
    """What `edgebll.learning.reproduce.worker` is told once."""
    return {
        "table": work.source,
        "scale": work.scale,
        "seeds": max(cell.seed for cell in work.cells) + 1,
        "rules": list(dict.fromkeys(cell.row.name for cell in work.cells)),
        "runs": str(work.runs.absolute()),
        "data_dir": None if work.data_dir is None else str(work.data_dir),
        "how": dict(work.how),
    }


def _without_missing_data(work: Work) -> list[Cell]:
    """The cells, those whose data set is missing with that as the reason.

    Raises:
        DataError: nothing is left.
    """
    if work.recipe.kind == COST:
        return list(work.cells)
    missing: dict[str, str] = {}
    for name in {cell.config.data for cell in work.cells if cell.config is not None}:
        try:
            check_here(name, work.data_dir)
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
