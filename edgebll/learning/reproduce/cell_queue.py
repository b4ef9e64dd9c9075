"""Which run is next, and what becomes of one that ends: none is lost, none is trained twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from edgebll.kernel.errors import EdgebllError, StorageError
from edgebll.learning.reproduce.cell_claim import is_claimed
from edgebll.learning.reproduce.cell_times import CellTimes, duration_text
from edgebll.learning.reproduce.cells import Cell
from edgebll.learning.reproduce.one_run import BUSY, DONE, FAILED, PAUSED
from edgebll.learning.reproduce.recipe import Recipe
from edgebll.learning.reproduce.warm_pool import ProcessEndedError


class CellQueue:
    """The runs that are not over, in the order they are begun; counts them, says how many are over, and keeps what went wrong.

    One whose process was killed is tried once more, from its checkpoint, after all others. One that another process trains is
    looked at again when nothing else is left: if that process was killed it goes on here.

    Args:
        cells: that are not over, in order.
        runs: their folders.
        total: how many cells there are in all.
        times: how long they take.
        at_once: how many are trained at once.
        say: told how it goes, a line at a time.

    Attributes:
        errors: cell's folder -> why it could not be done.
    """

    def __init__(
        self, cells: Sequence[Cell], runs: Path, total: int, times: CellTimes, at_once: int, say: Callable[[str], None]
    ) -> None:
        self._waiting, self._runs, self._total, self._times = list(cells), runs, total, times
        self._at_once, self._say = at_once, say
        self._elsewhere: list[Cell] = []
        self._begun: list[Cell] = []
        self._killed: set[str] = set()
        self._over, self._told = total - len(cells), False
        self.errors: dict[str, EdgebllError] = {}

    def take(self) -> Cell | None:
        """The next run, which is begun; None where none is left, or all that are left are trained by other processes."""
        cell = self._waiting.pop(0) if self._waiting else self._given_up()
        if cell is not None:
            self._begun.append(cell)
        return cell

    @property
    def waits(self) -> bool:
        """Whether other processes train runs that may have to go on here; said once, when nothing else is left."""
        if self._elsewhere and not (self._told or self._waiting or self._begun):
            self._told = True
            count = len(self._elsewhere)
            self._say(f"{count} {'run is' if count == 1 else 'runs are'} being trained by another process; waiting for it")
        return bool(self._elsewhere)

    def close(self) -> None:
        """Begin nothing more."""
        self._waiting.clear()
        self._elsewhere.clear()

    def ended(self, cell: Cell, state: str) -> None:
        """A run ended as `run_cell` tells; after one that paused there is no time for another piece of work."""
        self._begun.remove(cell)
        if state == BUSY:
            self._elsewhere.append(cell)
        elif state == PAUSED:
            self.close()
        elif state in (DONE, FAILED):
            self._over += 1
            self._say(f"{self._over} of {self._total} runs are over{self._left()}")

    def failed(self, cell: Cell, error: EdgebllError) -> None:
        """A run could not be done; the others go on, unless they could not be written either."""
        self._begun.remove(cell)
        if isinstance(error, ProcessEndedError) and cell.folder not in self._killed:
            self._killed.add(cell.folder)
            self._waiting.append(cell)
            self._say(f"{cell.title}: its process has ended; it goes on from its checkpoint after the others")
            return
        self.errors[cell.folder] = error
        self._say(f"{cell.title}: {error}")
        if isinstance(error, StorageError) or error.exit_code == StorageError.exit_code:
            self.close()

    def _given_up(self) -> Cell | None:
        """A run that another process trained and does not any more."""
        for cell in self._elsewhere:
            if not is_claimed(cell.folder, self._runs):
                self._elsewhere.remove(cell)
                return cell
        return None

    def _left(self) -> str:
        seconds = self._times.left([*self._waiting, *self._begun, *self._elsewhere], self._at_once)
        return f", about {duration_text(seconds)} left" if seconds else ""


def queued(cells: Sequence[Cell], recipe: Recipe, times: CellTimes) -> list[Cell]:
    """The order in which runs are begun: what tells most for the least time first.

    All of one seed come before any of the next. Within a seed: settings from the quickest to the slowest; in a setting the
    baseline and greedy learning, from which all differences are taken; then the others from the quickest to the slowest. What
    is not known to differ stays in the order of the recipe.

    Args:
        cells: in the order of the recipe.
        recipe: of the table.
        times: how long they take.
    """
    references = {recipe.baseline, recipe.greedy}
    by_setting: dict[str, list[float]] = {}
    for cell in cells:
        by_setting.setdefault(cell.setting.name, []).append(times.seconds(cell) or 0.0)

    def rank(cell: Cell) -> tuple[float, ...]:
        costs = by_setting[cell.setting.name]
        place = list(by_setting).index(cell.setting.name)
        return cell.seed, sum(costs) / len(costs), place, cell.row.name not in references, times.seconds(cell) or 0.0

    return sorted(cells, key=rank)
