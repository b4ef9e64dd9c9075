"""Tables of sensors in CSV files: each row a sample, or each window of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Floats, Ints
from edgebll.data.own.csv_columns import CsvFile, is_number, open_csv
from edgebll.data.own.data_options import CLASSES, NONE, NUMBERS, YES, OwnDataOptions
from edgebll.data.own.file_digest import digest_files
from edgebll.data.own.held_out import LEFT_OUT, PART_NAMES, TEST, TRAIN, UNDECIDED, decide
from edgebll.data.own.label_numbers import settle_labels
from edgebll.data.own.sample_pool import SamplePool
from edgebll.kernel.errors import ConfigError, DataError

TABLE = "table"
#: Columns that hold the target where nobody says which does; else it is the last one.
_TARGETS = ("label", "class", "target", "y")


@dataclass(frozen=True)
class TableOptions(OwnDataOptions):
    """Options of a table; those of every kind come before.

    Attributes:
        target: the column with the class or number, or several with numbers; empty for one that is named label, class, target
            or y, else the last, and with labels=none for none.
        columns: with the numbers; empty for all that are neither target nor group.
        window: rows of a sample; a sample is (columns,) for 1, else (columns, window), and has the class of its last row.
        step: rows from the beginning of a window to that of the next; 0 for as many as a window has.
        group: a column that names recordings: no window goes across two, and each is held out whole or not; empty for none.

    Raises:
        ConfigError: one is out of range.
    """

    target: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    window: int = 1
    step: int = 0
    group: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value, least in (("window", self.window, 1), ("step", self.step, 0)):
            if value < least:
                raise ConfigError(f"the data option {name} must be at least {least} rows, not {value}")


def is_table(path: Path) -> bool:
    """Whether it is a .csv file, or a folder with train.csv and test.csv."""
    return path.suffix.lower() == ".csv" or {part for _, part in _files(path)} == {TRAIN, TEST}


def read_table(path: Path, options: TableOptions, tell: Callable[[str], None]) -> SamplePool:
    """All rows of a table, or windows of them.

    Args:
        path: of the file, or of a folder with train.csv and test.csv.
        options: of the table.
        tell: not told anything; here for other kinds.

    Raises:
        DataError: a file cannot be read, lacks a column, or has a cell without a number; no window fits.
    """
    files = [(open_csv(file), part) for file, part in _files(path)]
    options = _settled([file for file, _ in files], options)
    digest = digest_files(path if path.is_dir() else path.parent, [file.path for file, _ in files])
    found = [file.numbers(options.columns) for file, _ in files]
    numbers = np.concatenate(found)
    counts = [len(some) for some in found]
    recordings = _recordings([file for file, _ in files], options, counts)
    parts = np.concatenate([np.full(count, part, np.int8) for count, (_, part) in zip(counts, files, strict=True)])
    labels, options = _labels(str(path), [file for file, _ in files], options)
    options = replace(options, digest=digest, normalize=options.normalize or YES)
    parts = _held_out(parts, labels, recordings, options)
    if options.window == 1:
        return SamplePool(str(path), numbers, labels, parts, options)
    return _windows(str(path), numbers, labels, parts, recordings, options)


def whole_column(path: Path, name: str) -> Floats:
    """A column of numbers of all rows (rows,).

    Args:
        path: of the file, or of a folder with train.csv and test.csv.
        name: of the column.

    Raises:
        DataError: there is no such column, or something else than a finite number in it.
    """
    return np.concatenate([open_csv(file).numbers([name])[:, 0] for file, _ in _files(path)])


def _files(path: Path) -> list[tuple[Path, int]]:
    """The files of a table, and what each is for."""
    if not path.is_dir():
        return [(path, UNDECIDED)]
    named = {file: PART_NAMES.get(file.stem.lower()) for file in sorted(path.glob("*.csv"))}
    return [(file, part) for file, part in named.items() if part is not None]


def _settled(files: Sequence[CsvFile], options: TableOptions) -> TableOptions:
    """The options with a target and columns; raises DataError where a file has not the columns of the first."""
    first = files[0]
    usual = next((name for name in first.columns if name.lower() in _TARGETS), first.columns[-1])
    target = options.target or (() if options.labels == NONE else (usual,))
    others = tuple(name for name in first.columns if name not in target and (not name or name != options.group))
    columns = options.columns or others
    if "" in first.columns and "" in (*columns, *target):
        place = first.columns.index("") + 1
        raise DataError(
            f"{first.path}, line 1: column {place} of {len(first.columns)} has no name, as the index that pandas writes; leave "
            "it out (pandas: index=False), name it, or name those that are wanted with the data options columns and target"
        )
    if not columns:
        raise DataError(
            f"{first.path} has no column but {', '.join(target)}, which is the target; name another with the data option target"
        )
    for file in files:
        file.places([*columns, *target, *([options.group] if options.group else [])])
    return replace(options, target=target, columns=columns, step=options.step or options.window)


def _labels(name: str, files: Sequence[CsvFile], options: TableOptions) -> tuple[Any, TableOptions]:
    """Labels of all rows: one column of classes or numbers, several of numbers, or none."""
    if not options.target or options.labels == NONE:
        return settle_labels(name, None, replace(options, labels=NONE))
    several = len(options.target) > 1 or options.labels == NUMBERS
    texts = np.array([""]) if several else np.concatenate([file.texts(options.target[0]) for file in files])
    if several or (not options.labels and not options.classes and _has_fractions(texts)):
        numbers = np.concatenate([file.numbers(options.target) for file in files])
        return settle_labels(name, numbers, replace(options, labels=NUMBERS))
    return settle_labels(name, texts, replace(options, labels=CLASSES, classes=options.classes or _names(texts)))


def _has_fractions(texts: npt.NDArray[np.str_]) -> bool:
    """Whether all are numbers, and some with a fraction."""
    names = [str(name) for name in np.unique(texts)]
    return all(map(is_number, names)) and any(float(name) != int(float(name)) for name in names)


def _names(texts: npt.NDArray[np.str_]) -> tuple[str, ...]:
    """Names of classes in order: numbers by their size, texts by their letters."""
    names = [str(name) for name in np.unique(texts)]
    return tuple(sorted(names, key=float) if all(map(is_number, names)) else names)


def _recordings(files: Sequence[CsvFile], options: TableOptions, counts: Sequence[int]) -> Ints:
    """The recording that each row belongs to (rows,): one a file, or one a value of the column for it."""
    found, seen = [], dict[tuple[int, str], int]()
    for number, (file, count) in enumerate(zip(files, counts, strict=True)):
        names = file.texts(options.group).tolist() if options.group else [""] * count
        found += [seen.setdefault((number, name), len(seen)) for name in names]
    return np.array(found, np.int64)


def _held_out(parts: npt.NDArray[np.int8], labels: Any, recordings: Ints, options: TableOptions) -> npt.NDArray[np.int8]:
    """Decide now what must not be decided sample by sample, for samples that belong or hang together."""
    if options.group:
        _, last = np.unique(recordings[::-1], return_index=True)
        last = len(recordings) - 1 - last  # of each recording its last row
        strata = labels[last] if options.labels == CLASSES else np.zeros(len(last), np.int64)
        return decide(parts[last], strata, options.test, options.split_seed)[recordings]
    if options.step >= options.window:
        return parts
    result = parts.copy()
    for recording in np.unique(recordings[parts == UNDECIDED]):
        rows = np.flatnonzero(recordings == recording)
        result[rows] = TRAIN
        result[rows[len(rows) - round(options.test * len(rows)) :]] = TEST
    return result


def _windows(
    name: str, numbers: Floats, labels: Any, parts: npt.NDArray[np.int8], recordings: Ints, options: TableOptions
) -> SamplePool:
    """A pool of windows, of which none is copied: at every row begins one, and most of those are left out."""
    size, step = options.window, options.step
    if size > len(numbers):
        raise DataError(f"{name} has {len(numbers)} rows, too few for a window of {size}; lower the data option window")
    samples = np.lib.stride_tricks.sliding_window_view(numbers, size, axis=0)
    changes = np.flatnonzero(np.diff(recordings)) + 1
    run = np.zeros(len(recordings), np.int64)
    run[changes] = 1
    run = np.cumsum(run)  # rows of one recording that follow each other
    first = np.concatenate([[0], changes])[run]
    start = np.arange(len(samples))
    end = start + size - 1
    whole = (run[start] == run[end]) & ((start - first[start]) % step == 0) & (parts[start] == parts[end])
    if not whole.any():
        longest = int(np.bincount(run).max())
        raise DataError(f"{name} has no {size} rows of one recording in a row, at most {longest}; lower the data option window")
    labels = None if labels is None else labels[end]
    return SamplePool(name, samples, labels, np.where(whole, parts[start], np.int8(LEFT_OUT)), options)
