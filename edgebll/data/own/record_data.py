"""A record of samples as a data set: whole, or one that still grows while a training takes what comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Dataset, Floats, Ints, pixel_table
from edgebll.data.own.data_options import CLASSES, NO, NONE, NUMBERS, YES, OwnDataOptions
from edgebll.data.own.live_reading import source_at
from edgebll.data.own.live_source import ArrivingSamples
from edgebll.data.own.sample_record import FACTS, open_record
from edgebll.data.own.sample_rows import SampleRows
from edgebll.kernel.errors import ConfigError, DataError

RECORD = "record"
#: Parts are taken as the fractions that are meant by them: 0.2 as 1/5, 0.333333 as 1/3.
_FINEST = 10_000


@dataclass(frozen=True)
class RecordOptions(OwnDataOptions):
    """Options of a record; those of every kind come before, and `test` is held out evenly: with 0.2, each fifth sample.

    Attributes:
        count: samples that are taken; 0 for all that there are, or are to come.

    Raises:
        ConfigError: one is out of range.
    """

    count: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.count < 0:
            raise ConfigError(f"the data option count must not be negative, but is {self.count}")


def is_record(path: Path) -> bool:
    """Whether there is a record, or a live source that is to make one."""
    return source_at(path) is not None or (path / FACTS).is_file()


def read_record(path: Path, options: RecordOptions, tell: Callable[[str], None]) -> RecordSplits:
    """The training and the test set of a record.

    Args:
        path: its folder.
        options: of the data.
        tell: not told anything; here for other kinds.

    Raises:
        DataError: there is no record, or too few samples for both parts. ConfigError: the options do not fit a record.
        StorageError: the record cannot be begun.
    """
    source = source_at(path)
    arriving = source.arriving() if source is not None else ArrivingSamples(open_record(path), None)
    count, most = options.count or arriving.expected, arriving.record.facts.count
    if count > most:
        raise DataError(f"the record {path} is one of {most} samples, but the data option count is {count}; lower it")
    return splits_of(arriving, replace(options, count=count), count)


def splits_of(arriving: ArrivingSamples, options: OwnDataOptions, count: int) -> RecordSplits:
    """The training and the test set of samples that come or came; errors are those of `read_record`.

    Args:
        arriving: the samples.
        options: of the data.
        count: samples that are taken.
    """
    facts = arriving.record.facts
    if options.classes not in ((), facts.classes):
        raise DataError(
            f"the record {arriving.record.path} has the classes {', '.join(facts.classes)}, which cannot be changed"
        )
    if options.normalize == YES and not options.mean:
        raise ConfigError(
            "samples that are still to come have no mean yet; give the data options mean and std to normalise them"
        )
    if options.labels == NUMBERS or (options.labels == CLASSES and not facts.classes):
        raise DataError(f"the record {arriving.record.path} has no {options.labels}; leave out the data option labels")
    labels = options.labels or (CLASSES if facts.classes else NONE)
    options = replace(options, labels=labels, classes=facts.classes, normalize=options.normalize or NO, digest=facts.id)
    return RecordSplits(arriving, options, count)


class RecordSplits:
    """The training and the test set of a record.

    Args:
        arriving: its samples.
        options: how they are prepared.
        count: how many are taken.
    """

    skipped: tuple[str, ...] = ()

    def __init__(self, arriving: ArrivingSamples, options: OwnDataOptions, count: int) -> None:
        self._arriving, self.options, self._count = arriving, options, count

    def dataset(self, split: str) -> Dataset:
        """The split "train" or "test".

        Raises:
            DataError: it has no samples.
        """
        record, options = self._arriving.record, self.options
        name, rows = str(record.path), self._rows(split)
        base: Any = _ArrivingArray(self._arriving, self._count)
        table, normal = None, tuple[Floats, ...]()
        if base.dtype == np.uint8:
            channels = base.shape[1]
            table = pixel_table(options.mean or (0.0,) * channels, options.std or (1.0,) * channels)
        elif options.mean:
            normal = (np.array(options.mean, np.float32), np.array(options.std, np.float32))
        labels = cast(Any, _ArrivingLabels(self._arriving, rows)) if options.labels == CLASSES else None
        samples = cast(Any, SampleRows(base, rows, *normal))
        return Dataset(name, samples, labels, len(record.facts.classes), table, arriving=True)

    def _rows(self, split: str) -> Ints:
        """Rows of the record for a split: of the first n samples floor(n test) are held out, for every n."""
        count, part = self._count, Fraction(self.options.test).limit_denominator(_FINEST)
        held_out = np.arange(count + 1) * part.numerator // part.denominator
        is_test = np.diff(held_out) > 0
        rows = np.flatnonzero(is_test if split == "test" else ~is_test)
        if not len(rows):
            raise DataError(f"the record {self._arriving.record.path} has too few samples, {count}, for {split} samples too")
        return rows


class _ArrivingArray:
    """Samples as an array whose rows are waited for."""

    def __init__(self, arriving: ArrivingSamples, count: int) -> None:
        facts = arriving.record.facts
        self._arriving = arriving
        self.dtype, self.shape = np.dtype(facts.dtype), (count, *facts.shape)
        self.ndim = len(self.shape)
        limits = np.iinfo(self.dtype) if self.dtype.kind in "iu" else np.finfo(self.dtype)
        self.bounds = (limits.min, limits.max)  # all that is known of samples to come

    def __getitem__(self, rows: Ints) -> npt.NDArray[Any]:
        self._arriving.wait_for(rows)
        return self._arriving.record.samples(rows)

    def has(self, rows: Ints) -> bool:
        return self._arriving.has(rows)


class _ArrivingLabels:
    """Labels as an array whose rows are waited for; each was checked when it came."""

    dtype, ndim = np.dtype(np.int64), 1

    def __init__(self, arriving: ArrivingSamples, rows: Ints) -> None:
        self._arriving, self._rows = arriving, rows
        self.shape, self.size = rows.shape, rows.size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> Any:
        rows = self._rows[index]
        if isinstance(index, slice):
            return _ArrivingLabels(self._arriving, rows)
        self._arriving.wait_for(rows)
        return self._arriving.record.labels(rows)

    def copy(self) -> _ArrivingLabels:
        return self

    def min(self) -> int:
        return 0

    def max(self) -> int:
        return len(self._arriving.record.facts.classes) - 1
