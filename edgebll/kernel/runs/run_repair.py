"""A run folder that somebody removes, as a whole or in part, while its run goes on: it is made again.

The record of the run is still in its open file, and is copied from there. Whatever else was in the folder is gone; the run
needs none of it to go on. Where another run has taken the place, this one goes on beside it, in NAME.rescued.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from edgebll.kernel.errors import StorageError
from edgebll.kernel.runs.metrics_file import METRICS
from edgebll.kernel.runs.run_lock import CONFIG, SNAPSHOTS, lock_folder
from edgebll.kernel.runs.run_record import write_record
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.scratch_files import ScratchFile

#: What a run that goes on may itself have put where its folder was.
_OWN = {"boards", "requests", "status.json", "totals.jsonl", "computing.json", SNAPSHOTS}
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Remade:
    """A folder that was made again: where, its lock, its record, and what happened, in a sentence."""

    path: Path
    lock: int
    metrics: BinaryIO
    told: str


def in_place(path: Path, lock: int, metrics: BinaryIO) -> bool:
    """Whether a run's folder is still the one that was locked, with its configuration and its record."""
    try:
        return (
            os.path.samestat(os.fstat(lock), path.stat())
            and os.path.samestat(os.fstat(metrics.fileno()), (path / METRICS).stat())
            and (path / CONFIG).exists()
        )
    except OSError:
        return False


def remake(path: Path, lock: int, metrics: BinaryIO, config: Mapping[str, Any]) -> Remade:
    """Make the folder again. The old lock and record stay open where there are new ones.

    Raises:
        StorageError: the disk refuses.
    """
    place, held = path, lock
    if not _same(path, lock):
        place, held = _take_place(path)
    try:
        with storage_errors(place):
            if not (place / CONFIG).exists():
                write_record(place, CONFIG, config)
            record = _record(place, metrics)
    except BaseException:
        if held != lock:
            os.close(held)
        raise
    told = f"{path} was removed, or a part of it, while the run goes on: it is made again, without what was in it before"
    if place != path:
        told = f"{path} is something else by now: the run that began there goes on in {place}"
    return Remade(place, held, record, told)


def _same(path: Path, lock: int) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except OSError:
        return False


def _take_place(path: Path) -> tuple[Path, int]:
    """A folder nobody else has, and its lock."""
    for place in _places(path):
        with storage_errors(place):
            if place.exists() and not place.is_dir():
                continue
            place.mkdir(parents=True, exist_ok=True)
            if not {one.name for one in place.iterdir()} <= _OWN:
                continue
        try:
            held = lock_folder(place)
        except StorageError:  # another process begins a run there
            continue
        if not (place / CONFIG).exists():
            return place, held
        os.close(held)
    raise StorageError(f"cannot write {path}: it was removed, and no other place is free")  # not reached


def _places(path: Path) -> Iterator[Path]:
    yield path
    for number in itertools.count(1):
        yield path.with_name(f"{path.name}.rescued" + (f"-{number}" if number > 1 else ""))


def _record(place: Path, metrics: BinaryIO) -> BinaryIO:
    """The record in its place, which is that of the open file."""
    target = place / METRICS
    if target.exists() and os.path.samestat(os.fstat(metrics.fileno()), target.stat()):
        return metrics
    metrics.flush()
    with ScratchFile(place, METRICS) as copy:
        offset = 0
        while piece := os.pread(metrics.fileno(), _PIECE_BYTES, offset):
            copy.stream.write(piece)
            offset += len(piece)
        copy.place(target)
    return target.open("a+b")
