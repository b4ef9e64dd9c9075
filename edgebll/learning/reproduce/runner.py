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

from edgebll.data.registry import FILES, find_dataset
from edgebll.kernel.errors import DataError, EdgebllError, StorageError
from edgebll.learning.reproduce.cells import Cell, placed
from edgebll.learning.reproduce.cost import measure_cell, measured_outcome
from edgebll.learning.reproduce.one_run import DONE, FAILED, PAUSED, SKIPPED, Clock, outcome_of, run_cell, state_of
from edgebll.learning.reproduce.recipe import COST, Recipe
from edgebll.learning.reproduce.warm_pool import WarmPool

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


class CellProgress:
    """Counts the runs of a call, says how many are over, and keeps what went wrong.

    Args:
        work: what is to be done.
        over: how many cells were over before.

    Attributes:
        errors: cell's folder -> why it could not be done.
    """

    def __init__(self, work: Work, over: int) -> None:
        self._work, self._over = work, over
        self.errors: dict[str, EdgebllError] = {}

    @property
    def hopeless(self) -> bool:
        """Whether the next one could not be written either."""
        return any(
            isinstance(error, StorageError) or error.exit_code == StorageError.exit_code for error in self.errors.values()
        )

    def ended(self, cell: Cell, state: str) -> None:
        """A cell ended as `run_cell` tells."""
        if state in (DONE, FAILED):
            self._over += 1
            self._work.say(f"{self._over} of {len(self._work.cells)} runs are over")

    def failed(self, cell: Cell, error: EdgebllError) -> None:
        """A cell could not be done; the others go on."""
        self.errors[cell.folder] = error
        self._work.say(f"{cell.title}: {error}")


def do(work: Work) -> tuple[list[Cell], dict[str, EdgebllError]]:
    """Do the runs that are not done yet, as far as the time goes.

    One that fails does not end the others, but when the disk refuses nothing more is begun.

    Returns:
        All cells, with reasons for those left out or failed; and the errors by the cells' folders.

    Raises:
        DataError: a data set is missing and nothing is left that does without.
    """
    cells = [placed(cell, work.how) for cell in _without_missing_data(work)]
    start = time.monotonic()
    clock = Clock(start, None if work.minutes is None else start + 60 * work.minutes)
    for reason, count in Counter(cell.reason for cell in cells if cell.reason).items():
        work.say(f"{count} of {len(cells)} runs are left out: {reason}")
    open_cells = [cell for cell in cells if outcome(work.recipe, cell, work.runs)["state"] not in (DONE, FAILED, SKIPPED)]
    progress = CellProgress(work, len(cells) - len(open_cells))
    if work.recipe.kind == COST or work.parallel == 1:
        _one_by_one(work, open_cells, clock, progress)
    else:
        _at_once(work, open_cells, clock, progress)
    errors = progress.errors
    return [replace(cell, reason=str(errors[cell.folder])) if cell.folder in errors else cell for cell in cells], errors


def outcome(recipe: Recipe, cell: Cell, runs: Path) -> dict[str, Any]:
    """What came of a cell, as `outcome_of` or `measured_outcome` tell; of one whose folder is another's, that it is open."""
    try:
        return (measured_outcome if recipe.kind == COST else outcome_of)(cell, runs)
    except EdgebllError as error:
        return {"state": "open", "reason": str(error)}


def _one_by_one(work: Work, cells: Sequence[Cell], clock: Clock, progress: CellProgress) -> None:
    for number, cell in enumerate(cells):
        if clock.is_over() or progress.hopeless or (number and clock.would_pass(_start_s(cell))):
            return
        try:
            if work.recipe.kind == COST:
                state = measure_cell(cell, work.runs, work.say, work.data_dir)
            else:
                state = run_cell(cell, work.runs, clock, work.data_dir, work.say)
        except EdgebllError as error:
            progress.failed(cell, error)
            continue
        progress.ended(cell, state)
        if state == PAUSED:
            return


def _start_s(cell: Cell) -> float:
    """How long a training gets nowhere at first."""
    return COMPILE_S if cell.config is not None and cell.config.compile else 0.0


def _at_once(work: Work, cells: Sequence[Cell], clock: Clock, progress: CellProgress) -> None:
    """Several trainings at a time, each in a process that then takes the next one."""
    left, running = list(cells), dict[Future[str], Cell]()
    with WarmPool(_told(work)) as pool, ThreadPoolExecutor(work.parallel) as threads:
        try:
            while left or running:
                while left and len(running) < work.parallel and not clock.is_over():
                    cell = left.pop(0)
                    running[threads.submit(pool.train, cell, clock)] = cell
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    _take(future, running.pop(future), progress, left)
                if clock.is_over() or progress.hopeless:
                    left.clear()
        except KeyboardInterrupt:
            pool.interrupt()  # the threads wait for the processes; each training has a checkpoint to go on from
            raise


def _take(future: Future[str], cell: Cell, progress: CellProgress, left: list[Cell]) -> None:
    """Note how a training ended; one that paused had no time for another piece of work, and nothing more is begun."""
    try:
        state = future.result()
    except EdgebllError as error:
        progress.failed(cell, error)
        return
    progress.ended(cell, state)
    if state == PAUSED:
        left.clear()


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
