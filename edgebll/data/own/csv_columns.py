"""The columns of a CSV file: numbers of the ones that are asked for, and the texts of others."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Floats
from edgebll.kernel.errors import DataError

_DELIMITERS = (",", ";", "\t")
_SHOWN = 20


@dataclass(frozen=True)
class CsvFile:
    """A CSV file whose head was read.

    Attributes:
        path: of the file.
        columns: their names; their numbers where the first line has no names.
        delimiter: between them.
        has_head: whether the first line has names.
    """

    path: Path
    columns: tuple[str, ...]
    delimiter: str
    has_head: bool

    def numbers(self, names: Sequence[str]) -> Floats:
        """Columns of numbers: float32 (rows, len(names)).

        Raises:
            DataError: there is no such column, or something else than a finite number of float32 in one; says in which line.
        """
        try:
            with np.errstate(over="ignore"):
                values = self._load(names, np.float64).astype(np.float32)
        except ValueError:
            values = None
        if values is None or not np.isfinite(values).all():
            raise self._no_number(names)
        return values

    def texts(self, name: str) -> npt.NDArray[np.str_]:
        """A column of texts (rows,).

        Raises:
            DataError: there is no such column, or a line has none.
        """
        try:
            texts = np.char.strip(self._load([name], np.str_)[:, 0])
        except ValueError as error:
            raise self._short_line() from error
        if empty := np.flatnonzero(texts == "").tolist():
            raise DataError(f"{self.path}, line {empty[0] + 1 + self.has_head}: the column {name} is empty; fill it")
        return texts

    def places(self, names: Sequence[str]) -> list[int]:
        """Which columns have these names.

        Raises:
            DataError: none has.
        """
        for name in names:
            if name not in self.columns:
                known = ", ".join(self.columns[:_SHOWN])
                raise DataError(f"{self.path} has no column {name!r}; it has {known}")
        return [self.columns.index(name) for name in names]

    def _load(self, names: Sequence[str], dtype: type[np.generic]) -> npt.NDArray[Any]:
        return np.loadtxt(
            self.path,
            dtype=dtype,
            comments=None,
            delimiter=self.delimiter,
            skiprows=int(self.has_head),
            usecols=self.places(names),
            ndmin=2,
            encoding="utf-8-sig",
            quotechar='"',
        )

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Number and cells of each line with values."""
        with self.path.open(encoding="utf-8-sig", newline="") as stream:
            reader, number = csv.reader(stream, delimiter=self.delimiter), 0
            while (cells := _next_cells(reader, self.path, number + 1)) is not None:
                number += 1
                if cells and (number > 1 or not self.has_head):
                    yield number, cells

    def check_first(self, cells: Sequence[str]) -> None:
        """Refuse a first line with numbers and texts of which one occurs nowhere else: it could be names as well as values.

        Args:
            cells: of the first line.

        Raises:
            DataError: it is one.
        """
        texts = {place: cell for place, cell in enumerate(cells) if cell and not _looks_like_number(cell)}
        for number, others in self._lines():
            if not texts:
                return
            if number > 1:
                texts = {place: cell for place, cell in texts.items() if place >= len(others) or others[place].strip() != cell}
        if texts:
            text, beside = next(iter(texts.values())), next(filter(_looks_like_number, cells))
            raise DataError(
                f"{self.path}, line 1: {text[:_SHOWN]!r} is in no other line of its column, as the name of one, but "
                f"{beside[:_SHOWN]!r} beside it is a number; begin names of columns with a letter, or write a line "
                "of names above"
            )

    def _no_number(self, names: Sequence[str]) -> DataError:
        """Where a cell has no finite number."""
        places = self.places(names)
        for number, cells in self._lines():
            for name, place in zip(names, places, strict=True):
                if place >= len(cells):
                    return self._short_line()
                if not is_number(cells[place]):
                    return DataError(
                        f"{self.path}, line {number}: the column {name} has {cells[place]!r}, which is no number; "
                        "mend it, leave the line out, or name other columns with the data option columns"
                    )
                if not _fits(cells[place]):
                    return DataError(
                        f"{self.path}, line {number}: the column {name} has {cells[place]}, but the largest number of float32 "
                        f"is {np.finfo(np.float32).max:.3g}; mend it or give the column in a larger unit"
                    )
        return DataError(f"{self.path} cannot be read as numbers; write one line a row with {self.delimiter!r} between")

    def _short_line(self) -> DataError:
        count = len(self.columns)
        for number, cells in self._lines():
            if len(cells) != count:
                return DataError(f"{self.path}, line {number}: {len(cells)} values, but there are {count} columns; mend it")
        return DataError(f"{self.path} cannot be read as a table; write one line a row with {self.delimiter!r} between")


def is_number(text: str) -> bool:
    """Whether a text is a finite number as files have them: Python's own 1_000, and digits beyond ASCII, are none."""
    return text.isascii() and "_" not in text and _looks_like_number(text) and math.isfinite(float(text))


def _looks_like_number(text: str) -> bool:
    """Whether a text would be a number to somebody: nan and 1_000 too."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _next_cells(reader: Iterator[list[str]], path: Path, number: int) -> list[str] | None:
    """The cells of the next line; None at the end."""
    try:
        return next(reader, None)
    except (csv.Error, UnicodeDecodeError) as error:
        raise DataError(f"{path}, line {number} cannot be read as cells ({error}); mend the line or leave it out") from error


def _fits(text: str) -> bool:
    """Whether a number is finite in float32 too."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.float32(float(text))))


def open_csv(path: Path) -> CsvFile:
    """Read the head of a CSV file.

    Raises:
        DataError: it cannot be read, has no line of values, or a first line that may be names as well as values.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline().rstrip("\r\n")
            more = stream.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text ({error}); write it as UTF-8") from error
    delimiter = max(_DELIMITERS, key=first.count)
    cells = [cell.strip() for cell in _next_cells(csv.reader([first], delimiter=delimiter), path, 1) or []]
    has_head = not any(map(_looks_like_number, cells))
    if not cells or (has_head and not more):
        raise DataError(f"{path} has no line of values; give a file with some")
    columns = tuple(cells) if has_head else tuple(str(place) for place in range(len(cells)))
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise DataError(f"{path} has two columns {twice!r}; give each a name of its own")
    file = CsvFile(path, columns, delimiter, has_head)
    if not has_head:
        file.check_first(cells)
    return file
