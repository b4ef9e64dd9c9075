"""A live source - a camera, a microphone, a serial line - whose samples are recorded as they come."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.data.own.array_files import as_samples
from edgebll.data.own.label_numbers import label_numbers
from edgebll.data.own.python_samples import pair_of
from edgebll.data.own.sample_record import FACTS, RecordFacts, SampleRecord, create_record, open_record
from edgebll.kernel.errors import ConfigError, DataError, StorageError

_LOOK_S = 0.5


class LiveSource:
    """Samples that come while a training runs, recorded on the disk before anything is trained on them.

    A training takes the samples in the order in which they come, and waits for those that have not come yet. Of `count` samples
    every so many-th is held out for evaluation. A run that is resumed reads the record first, and goes on with what comes then;
    the record is a data set by itself, on which the same training gives the same bits. A source that is made by named code is
    read by trainings only, and closed at their end; all else reads its record.

    Args:
        samples: an iterable of pairs (sample, label), or a function that begins one, e.g. a generator function; it is read in
            a thread of its own. Samples are arrays of one shape and type, labels whole numbers or names of classes.
        record: folder of the record; one that is there already is gone on with.
        count: samples that are taken in all.
        classes: names of the classes, in the order of their labels; empty for samples whose labels are None.

    Examples:
        >>> import itertools
        >>> from edgebll.data import LiveSource
        >>> sensor = (([float(n % 2), 1.0], n % 2) for n in itertools.count())
        >>> source = LiveSource(sensor, "recorded", count=200, classes=("off", "on"))
        >>> next(iter(source))  # and then edgebll.train("live", data=source)
        ([0.0, 1.0], 0)
    """

    def __init__(
        self,
        samples: Iterable[Any] | Callable[[], Iterable[Any]],
        record: str | Path,
        *,
        count: int,
        classes: Iterable[str] = (),
    ) -> None:
        self._samples, self.path = samples, Path(record).absolute()
        self.count, self.classes = count, tuple(classes)
        if count < 1 or len(self.classes) == 1:
            raise ConfigError(f"a live source needs a count of at least 1, and no class or two, not {count} and {self.classes}")
        self._arriving: ArrivingSamples | None = None

    def __iter__(self) -> Iterator[Any]:
        """The pairs as they come, not recorded."""
        return iter(self._samples() if callable(self._samples) else self._samples)

    def arriving(self) -> ArrivingSamples:
        """The record, which grows while the source is read; the first call begins.

        Raises:
            DataError: the source fails, its first sample is none, or the record is one of other samples. StorageError: the disk
                refuses.
        """
        if self._arriving is None:
            try:
                pairs = iter(self)
            except (Exception, SystemExit) as error:
                raise self._unbegun(error) from error
            record = self._record(pairs) if not (self.path / FACTS).exists() else open_record(self.path)
            self.check_alike(record.facts.count, record.facts.classes)
            self._arriving = ArrivingSamples(record, pairs)
        return self._arriving

    def check_alike(self, count: int, classes: tuple[str, ...]) -> None:
        """Refuse a record of other samples than the source's.

        Args:
            count: samples that the record is to have.
            classes: names of its classes.

        Raises:
            DataError: they are not those of the source.
        """
        if (self.count, self.classes) != (count, classes):
            raise DataError(
                f"the record {self.path} is one of {count} samples of {', '.join(classes) or 'no class'}, but the source has "
                f"{self.count} of {', '.join(self.classes) or 'no class'}; choose another record"
            )

    def _record(self, pairs: Iterator[Any]) -> SampleRecord:
        """A new record with the first sample, which tells what all are."""
        where = f"sample 0 of the live source for {self.path}"
        try:
            pair = next(pairs, None)
        except (Exception, SystemExit) as error:
            raise self._unbegun(error) from error
        if pair is None:
            raise DataError(f"{where} did not come: the source is at its end; give one that has some")
        sample, label = _checked(pair, where, self.classes)
        facts = RecordFacts(uuid.uuid4().hex, sample.dtype.name, tuple(sample.shape), self.classes, self.count)
        record = create_record(self.path, facts)
        record.begin_appending()
        record.append(sample, label)
        record.close()
        return record

    def _unbegun(self, error: BaseException) -> DataError:
        """What is said where the user's own code fails in the thread of the training, before samples are recorded."""
        rows = open_record(self.path).rows if (self.path / FACTS).exists() else 0
        has = f"{rows} of {self.count} samples"
        return DataError(f"the record {self.path} has {has}, and {_failed(error)}; mend the source, and train again")

    def close(self) -> None:
        """Read no more from the source."""
        if self._arriving is not None:
            self._arriving.close()
            self._arriving = None


class ArrivingSamples:
    """A record to which a thread appends what comes, and whoever needs a sample waits for it.

    Args:
        record: it.
        pairs: what comes; None for a record that does not grow.
    """

    def __init__(self, record: SampleRecord, pairs: Iterator[Any] | None) -> None:
        self.record = record
        self._changed = threading.Condition()
        self._closed, self._failure, self._grows = False, pairs is None, pairs is not None
        self._reason = "its live source is not there"
        if pairs is not None and record.rows < record.facts.count:
            record.begin_appending()
            self._thread = threading.Thread(target=self._read, args=(pairs,), name="live-source", daemon=True)
            self._thread.start()

    @property
    def expected(self) -> int:
        """Samples that there are to be: those the record is to have, or where nothing more comes, those it has."""
        return self.record.facts.count if self._grows else self.record.rows

    def has(self, rows: Ints) -> bool:
        """Whether all of these samples are there, and on the disk.

        Raises:
            DataError: they will never be.
        """
        needed = int(rows.max()) + 1
        with self._changed:
            if self.record.appended >= needed:
                if self.record.rows < needed:
                    self.record.sync()
                return True
            if self._failure:
                has = f"{self.record.appended} of {self.record.facts.count} samples"
                raise DataError(
                    f"the record {self.record.path} has {has}, and {self._reason}; resume with the live source, or train anew "
                    "on the record as it is"
                )
            return False

    def wait_for(self, rows: Ints) -> None:
        """Return when all of these samples are there; errors are those of `has`."""
        while not self.has(rows):
            with self._changed:
                self._changed.wait(_LOOK_S)

    def close(self) -> None:
        """Append no more, once the sample that is being waited for has come."""
        with self._changed:
            self._closed = True
            self.record.close()
            self._failure, self._reason = True, "its live source was closed"

    def _read(self, pairs: Iterator[Any]) -> None:
        facts, reason = self.record.facts, "its live source is at its end"
        try:
            while self.record.appended < facts.count:
                row = self.record.appended
                pair = next(pairs, None)
                if pair is None:
                    break
                sample, label = _checked(pair, f"sample {row}", facts.classes)
                if (sample.dtype.name, sample.shape) != (facts.dtype, facts.shape):
                    raise DataError(f"sample {row} is {sample.dtype} {sample.shape}, not {facts.dtype} {facts.shape}")
                with self._changed:
                    if self._closed:
                        return
                    self.record.append(sample, label)
                    self._changed.notify_all()
        except BaseException as error:  # the user's own code may raise anything, and exit; whoever waits is told
            reason = _failed(error)
        finally:
            with contextlib.suppress(BaseException):
                getattr(pairs, "close", lambda: None)()
        with self._changed:
            with contextlib.suppress(StorageError):  # whoever waits for a sample that is not on the disk is told again
                self.record.close()
            self._failure, self._reason = True, reason
            self._changed.notify_all()


def _failed(error: BaseException) -> str:
    """What a source raised, in one line."""
    said = " ".join(str(error).split())
    if isinstance(error, SystemExit):
        return f"its live source failed: it called sys.exit({said})"
    return f"its live source failed: {said or type(error).__name__}"


def _checked(pair: Any, where: str, classes: tuple[str, ...]) -> tuple[npt.NDArray[Any], int]:
    """A sample as a record has it, and the number of its class."""
    sample, label = pair_of(pair, where)
    if len(sample) > 1:
        raise DataError(f"{where} has several inputs, and a record of a live source holds one array a sample; join them to one")
    values = as_samples(where, sample["x"][None])[0]
    kind = np.uint8 if values.dtype == np.uint8 and values.ndim == 3 else np.float32
    whole = np.issubdtype(values.dtype, np.integer) and kind is not np.uint8
    if not classes and label is not None:
        raise DataError(f"{where} has the label {label!r}, but the source was made without classes; give it some")
    labels = label_numbers(where, np.array([label]), classes)[0] if classes else [0]
    return np.ascontiguousarray(values, np.int64 if whole else kind), int(labels[0])
