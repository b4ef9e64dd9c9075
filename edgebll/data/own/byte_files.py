"""The bytes of a file, or of all files of a folder, mapped into memory: any window of them is read when it is asked for."""

from __future__ import annotations

import gzip
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Bytes, Ints
from edgebll.kernel.errors import DataError

GZIP = ".gz"
#: Files that stay mapped; a folder of more has them mapped anew as they are read.
_MAPPED = 64


class ByteFiles:
    """Files as sequences of bytes.

    Args:
        files: them, at least one; what a single file ending in .gz holds is unpacked to memory.

    Attributes:
        sizes: bytes of each file, int64 (F,).

    Raises:
        DataError: one cannot be read, or is no gzip file.
    """

    def __init__(self, files: list[Path]) -> None:
        self._files = files
        self._unpacked = _unpacked(files[0]) if len(files) == 1 and files[0].suffix == GZIP else None
        if self._unpacked is not None:
            self.sizes: Ints = np.array([self._unpacked.size], np.int64)
        else:
            self.sizes = np.array([_size(file) for file in files], np.int64)
        self._mapped = lru_cache(_MAPPED)(self._map)

    def windows(self, file: Ints, start: Ints, length: int) -> Bytes:
        """Bytes from places in the files.

        Args:
            file: number of the file of each window (B,).
            start: its first byte there (B,).
            length: bytes of each window.

        Returns:
            uint8 (B, length).
        """
        found = np.empty((len(file), length), np.uint8)
        for row, (number, first) in enumerate(zip(file.tolist(), start.tolist(), strict=True)):
            found[row] = self._mapped(number)[first : first + length]
        return found

    def _map(self, number: int) -> npt.NDArray[np.uint8]:
        if self._unpacked is not None:
            return self._unpacked
        try:
            return np.memmap(self._files[number], np.uint8, "r", shape=(int(self.sizes[number]),))
        except (OSError, ValueError) as error:
            raise _unreadable(self._files[number], error) from error


def files_below(path: Path) -> list[Path]:
    """The file itself, or all files of a folder and its subfolders in the order of their names, hidden ones left out.

    Args:
        path: of the file or the folder.

    Raises:
        DataError: it is a pipe or a device, which reading might never end, or a link in it leads nowhere.
    """
    if not path.is_dir():
        if not path.is_file():
            raise DataError(f"{path} is no ordinary file; give a file, or a folder of files")
        return [path]
    below = [one for one in path.rglob("*") if not any(part.startswith(".") for part in one.relative_to(path).parts)]
    for one in below:
        if not one.exists():
            raise DataError(f"{one} is a link that leads nowhere; mend or remove it")
    return sorted(one for one in below if one.is_file())


def _size(file: Path) -> int:
    try:
        with file.open("rb"):  # a file that may not be read is told now, not after an epoch
            return file.stat().st_size
    except OSError as error:
        raise _unreadable(file, error) from error


def _unpacked(file: Path) -> npt.NDArray[np.uint8]:
    try:
        with gzip.open(file, "rb") as stream:
            return np.frombuffer(stream.read(), np.uint8)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(file, error) from error


def _unreadable(file: Path, error: Exception) -> DataError:
    reason = getattr(error, "strerror", None) or error
    return DataError(f"{file} cannot be read ({reason}); check its permissions, or give another file")
