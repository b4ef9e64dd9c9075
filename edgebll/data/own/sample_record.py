"""A record of samples on the disk, to which is only ever appended: what came from a live source, as it came.

    record.json    what a sample is: written once the other two are there, and never changed
    samples.bin    the samples, one after another
    index.bin      of each sample its label, int64, and the CRC-32 of sample and label, uint32, both little-endian

A sample counts once both files have all of it; what a killed process left behind them is cut off. `SampleRecord.rows` are on
the disk before anybody trains on them, so a run that goes on sees the very samples it saw before.
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.kernel.errors import DataError, StorageError
from edgebll.kernel.support.atomic_files import check_parents, storage_errors, write_json
from edgebll.kernel.support.plain_dataclasses import from_plain, to_plain
from edgebll.kernel.support.scratch_files import lock, sweep

FACTS, SAMPLES, INDEX = "record.json", "samples.bin", "index.bin"
_INDEX = np.dtype([("label", "<i8"), ("crc", "<u4")])
_DTYPES = ("uint8", "int64", "float32")
_VERSION = 1
_MAX_BYTES = 1 << 32


@dataclass(frozen=True)
class RecordFacts:
    """What a sample of a record is.

    Attributes:
        id: of the record, 32 hex digits.
        dtype: of a sample, "uint8", "int64" or "float32".
        shape: of a sample.
        classes: names of the classes.
        count: samples that the record is to have in the end.
        version: of the layout.
    """

    id: str
    dtype: str
    shape: tuple[int, ...]
    classes: tuple[str, ...]
    count: int
    version: int = _VERSION

    @property
    def sample_bytes(self) -> int:
        """Bytes of a sample."""
        return int(np.dtype(self.dtype).itemsize * np.prod(self.shape, dtype=np.int64))


class SampleRecord:
    """A record, open to be read; and to be appended to after `begin_appending`.

    Args:
        path: its folder.
        facts: from its record.json.

    Attributes:
        rows: samples that are whole and on the disk.
    """

    def __init__(self, path: Path, facts: RecordFacts) -> None:
        self.path, self.facts = path, facts
        self.rows = self._whole_rows()
        self._appended = self.rows
        self._files: tuple[Any, Any] | None = None

    def begin_appending(self) -> None:
        """Cut off what is not whole, and get ready for more.

        Raises:
            StorageError: another process appends to it, or the disk refuses.
        """
        with storage_errors(self.path), contextlib.ExitStack() as stack:
            samples, index = (stack.enter_context((self.path / name).open("r+b")) for name in (SAMPLES, INDEX))
            if not lock(index.fileno()):
                raise StorageError(f"another process records to {self.path}; wait for it or choose another record")
            self.rows = self._appended = self._whole_rows()
            for stream, row_bytes in ((samples, self.facts.sample_bytes), (index, _INDEX.itemsize)):
                stream.truncate(self.rows * row_bytes)
                stream.seek(0, os.SEEK_END)
            stack.pop_all()
        self._files = (samples, index)

    @property
    def appended(self) -> int:
        """Samples that were appended, whether they are on the disk or not."""
        return self._appended

    def append(self, sample: npt.NDArray[Any], label: int) -> None:
        """Append a sample of the record's type and shape; it counts after `sync`.

        Raises:
            StorageError: the disk refuses.
        """
        if self._files is None:
            raise ValueError("the record is not open to be appended to")
        (samples, index), data = self._files, sample.tobytes()
        with storage_errors(self.path):
            samples.write(data)
            index.write(np.array((label, _crc(data, label)), _INDEX).tobytes())
        self._appended += 1

    def sync(self) -> None:
        """Put what was appended on the disk.

        Raises:
            StorageError: the disk refuses.
        """
        with storage_errors(self.path):
            for stream in self._files or ():
                stream.flush()
                os.fsync(stream.fileno())
        self.rows = self._appended

    def close(self) -> None:
        """Stop appending; what was appended is on the disk then."""
        self.sync()
        files, self._files = self._files, None
        for stream in files or ():
            with storage_errors(self.path):
                stream.close()

    def samples(self, rows: Ints) -> npt.NDArray[Any]:
        """Samples (B, *shape), all of which are there.

        Raises:
            DataError: one is damaged.
        """
        facts, found = self.facts, []
        with (self.path / SAMPLES).open("rb") as stream:
            for row, label in zip(rows.tolist(), self._entries(rows), strict=True):
                stream.seek(row * facts.sample_bytes)
                data = stream.read(facts.sample_bytes)
                if _crc(data, int(label["label"])) != int(label["crc"]):
                    raise DataError(f"sample {row} of the record {self.path} is damaged: its CRC-32 differs; restore the files")
                found.append(np.frombuffer(data, facts.dtype).reshape(facts.shape))
        return np.stack(found)

    def labels(self, rows: Ints) -> Ints:
        """Labels (B,) of samples that are there."""
        return self._entries(rows)["label"].astype(np.int64)

    def _entries(self, rows: Ints) -> npt.NDArray[Any]:
        return np.memmap(self.path / INDEX, _INDEX, mode="r", shape=(int(rows.max()) + 1,))[rows]

    def _whole_rows(self) -> int:
        try:
            sizes = [os.stat(self.path / name).st_size for name in (SAMPLES, INDEX)]
        except OSError as error:
            raise DataError(f"the record {self.path} has lost a file ({error.strerror}); restore it") from error
        rows = min(sizes[0] // self.facts.sample_bytes, sizes[1] // _INDEX.itemsize)
        while rows and not self._is_whole(rows - 1):  # the last ones, where power was lost
            rows -= 1
        return rows

    def _is_whole(self, row: int) -> bool:
        try:
            self.samples(np.array([row]))
        except DataError:
            return False
        return True


def create_record(path: Path, facts: RecordFacts) -> SampleRecord:
    """Begin a record, also where an earlier beginning was cut off.

    Args:
        path: its folder, which is made.
        facts: of its samples.

    Raises:
        StorageError: there is something at `path`, or the disk refuses.
    """
    check_parents(path)
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        sweep(path, FACTS)
        if any(one.name not in (SAMPLES, INDEX) or one.stat().st_size for one in path.iterdir()):
            raise StorageError(f"{path} is no record, and not empty; choose another folder to record to")
        for name in (SAMPLES, INDEX):
            (path / name).touch()
    write_json(path / FACTS, to_plain(facts))
    return SampleRecord(path, facts)


def open_record(path: Path) -> SampleRecord:
    """Open a record.

    Raises:
        DataError: there is none, or it is damaged.
    """
    try:
        facts = from_plain(RecordFacts, json.loads((path / FACTS).read_text("utf-8")), str(path / FACTS))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no record of samples, or its {FACTS} is damaged ({error}); restore it") from error
    fits = facts.version == _VERSION and facts.dtype in _DTYPES and facts.count > 0 and all(size > 0 for size in facts.shape)
    if not fits or not 0 < facts.sample_bytes <= _MAX_BYTES:
        raise DataError(f"{path / FACTS} is damaged, or of another release of edgebll; use the one that wrote it")
    return SampleRecord(path, facts)


def _crc(data: bytes, label: int) -> int:
    return zlib.crc32(label.to_bytes(8, "little", signed=True), zlib.crc32(data))
