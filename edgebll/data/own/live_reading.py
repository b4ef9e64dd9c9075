"""Which live sources are read now: those that a training was given or that its code makes, until the last training that reads
them has ended. Everything else reads their records alone.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from edgebll.data.own.live_source import ArrivingSamples, LiveSource
from edgebll.data.own.sample_record import FACTS, open_record
from edgebll.kernel.errors import DataError


@dataclass
class _Reading:
    """A source, and how many read it."""

    source: LiveSource
    readers: int = 0


_LOCK = threading.Lock()
_READ = dict[Path, _Reading]()
#: Closes what the code of the training that goes on in this thread has made; None where none does.
_TRAINING: ContextVar[contextlib.ExitStack | None] = ContextVar("training", default=None)


@contextlib.contextmanager
def attached(source: LiveSource) -> Iterator[str]:
    """The name of a live source's record; within the context, whoever reads that reads the source as well.

    Args:
        source: it; where one with the same record is read already, in another thread perhaps, that one goes on for both.

    Raises:
        DataError: the one that is read has other samples.
    """
    with _LOCK:
        reading = _READ.setdefault(source.path, _Reading(source))
        source.check_alike(reading.source.count, reading.source.classes)
        reading.readers += 1
    try:
        yield str(source.path)
    finally:
        with _LOCK:
            reading.readers -= 1
            if is_last := not reading.readers:
                del _READ[source.path]
        if is_last:
            reading.source.close()


@contextlib.contextmanager
def reading_sources() -> Iterator[None]:
    """Within the context, which is a training, sources that code makes are read as they come, and closed at its end."""
    with contextlib.ExitStack() as stack:
        token = _TRAINING.set(stack)
        try:
            yield
        finally:
            _TRAINING.reset(token)


def source_at(path: Path) -> LiveSource | None:
    """The source that is read now and recorded at a path."""
    with _LOCK:
        reading = _READ.get(path.absolute())
    return None if reading is None else reading.source


def samples_of(made: LiveSource, name: str) -> ArrivingSamples:
    """The samples of a source that code made: as they come where a training goes on, else those of its record.

    Args:
        made: the source.
        name: of the code, for messages.

    Raises:
        DataError: there is no record yet, or one of other samples. StorageError: the record cannot be begun.
    """
    training = _TRAINING.get()
    if training is not None:
        training.enter_context(attached(made))
    source = source_at(made.path)
    if source is not None:
        return source.arriving()
    if not (made.path / FACTS).exists():
        raise DataError(
            f"the live source {name} is read by trainings alone and has not recorded anything to {made.path} yet; begin "
            "one with `edgebll train`"
        )
    record = open_record(made.path)
    made.check_alike(record.facts.count, record.facts.classes)
    return ArrivingSamples(record, None)
