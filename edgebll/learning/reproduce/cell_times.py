"""How long runs take: as whole ones of the same cell did, else as measured steps say, else as their like. No torch."""

from __future__ import annotations

import contextlib
import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebll.kernel.runs.run_lock import CHECKPOINT, SUMMARY

if TYPE_CHECKING:
    from edgebll.learning.reproduce.cells import Cell

#: Beside the folder of the runs: what `edgebll reproduce --measure` found.
MEASURED = "step_times.json"
Like = tuple[str, str, int]


def like(cell: Cell) -> Like:
    """What runs that differ in their seed alone have in common."""
    return cell.setting.name, cell.row.name, cell.blocks


class CellTimes:
    """Seconds that the cells of a table take, as far as that is known.

    Args:
        cells: of the table.
        runs: their folders.
    """

    def __init__(self, cells: Sequence[Cell], runs: Path) -> None:
        self._runs = runs
        self._known = _measured(runs)
        whole: dict[Like, list[float]] = {}
        for cell in cells:
            seconds = _read(runs / cell.folder / SUMMARY).get("seconds")
            if isinstance(seconds, int | float):
                whole.setdefault(like(cell), []).append(float(seconds))
        for key, found in whole.items():
            self.add(key, statistics.fmean(found))

    def add(self, key: Like, seconds: float) -> None:
        """A run of these took so long."""
        self._known[key] = seconds

    def seconds(self, cell: Cell) -> float | None:
        """Of a whole run: its own kind's, else the mean of its setting's, else of all; None where nothing is known."""
        setting = [seconds for (name, _, _), seconds in self._known.items() if name == cell.setting.name]
        found = [self._known[like(cell)]] if like(cell) in self._known else setting or list(self._known.values())
        return statistics.fmean(found) if found else None

    def all_of(self, cells: Sequence[Cell]) -> float | None:
        """Seconds of all of these from their beginnings, one after another; None where nothing is known.

        Args:
            cells: some of the table.
        """
        found = [self.seconds(cell) for cell in cells]
        known = [seconds for seconds in found if seconds is not None]
        return sum(known) if known and len(known) == len(found) else None

    def left(self, cells: Iterable[Cell], at_once: int) -> float | None:
        """Seconds until all of these are whole, from their checkpoints on; None where nothing is known.

        Args:
            cells: not whole yet.
            at_once: how many are trained at once.
        """
        total = 0.0
        for cell in cells:
            seconds = self.seconds(cell)
            if seconds is None:
                return None
            total += max(0.0, seconds - self._spent(cell))
        return total / at_once

    def _spent(self, cell: Cell) -> float:
        spent = _read(self._runs / cell.folder / CHECKPOINT / "progress.json").get("seconds", 0.0)
        return float(spent) if isinstance(spent, int | float) else 0.0


def duration_text(seconds: float) -> str:
    """A time in words, e.g. "2 h 05 min"."""
    minutes = max(1, round(seconds / 60))
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _measured(runs: Path) -> dict[Like, float]:
    found: dict[Like, float] = {}
    with contextlib.suppress(KeyError, TypeError, ValueError):
        for entry in _read(runs.parent / MEASURED).get("cells", []):
            found[str(entry["setting"]), str(entry["rule"]), int(entry["blocks"])] = float(entry["seconds"])
    return found


def _read(path: Path) -> Mapping[str, Any]:
    """A JSON object; empty where there is none that can be read."""
    with contextlib.suppress(OSError, ValueError):
        document = json.loads(path.read_bytes())
        return document if isinstance(document, dict) else {}
    return {}
