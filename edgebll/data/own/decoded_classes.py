"""The files of class folders, decoded on all processors, once; what cannot be decoded is left out and named."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.own.class_folders import ClassFiles
from edgebll.data.own.decoded_cache import Decoded, DecodedFiles, decoded_files
from edgebll.data.own.held_out import LEFT_OUT
from edgebll.kernel.errors import DataError, EdgebllError
from edgebll.kernel.limits import usable_cores

#: What the system says where a damaged file sends its decoder to a place that there is not.
_OF_FILES = (errno.EINVAL, errno.EOVERFLOW)
_CHUNK = 256
_REASON_CHARS = 200


def decode_classes(
    found: ClassFiles,
    decode: Callable[[Path], npt.NDArray[Any]],
    shape: tuple[int, ...],
    dtype: str,
    recipe: Mapping[str, Any],
    begun: Callable[[], None],
) -> DecodedFiles:
    """All files decoded, now or earlier.

    Args:
        found: the files.
        decode: makes an array of `shape` of a file, or raises anything.
        shape: of one file's array.
        dtype: of it, e.g. "uint8".
        recipe: what decides the result beside shape and dtype, see `decoded_cache`.
        begun: called where it was not done earlier, before the first file.

    Raises:
        DataError: of a class not one file can be decoded, or the machine refuses to read one.
    """

    def one(path: Path) -> Decoded:
        try:
            return decode(path)
        except Exception as error:  # decoders raise anything on damaged files
            raise_of_machine(error, path)
            return " ".join(str(error).split())[:_REASON_CHARS] or type(error).__name__

    def rows() -> Iterator[Decoded]:
        begun()
        with ThreadPoolExecutor(usable_cores()) as pool:
            for start in range(0, len(found.files), _CHUNK):  # so that no more than a chunk waits to be written
                yield from pool.map(one, found.files[start : start + _CHUNK])

    decoded = decoded_files(recipe, (len(found.files), *shape), dtype, rows)
    for label in np.unique(found.labels):
        places = [int(row) for row in np.flatnonzero(found.labels == label)]
        if all(row in decoded.faults for row in places):
            raise DataError(
                f"{found.folder}: not one file of the class {found.classes[label]} can be read, e.g. "
                f"{found.name_of(places[0])}: {decoded.faults[places[0]]}; give other files or take the class out"
            )
    return decoded


def raise_of_machine(error: Exception, path: Path) -> None:
    """Refuse to go on where a file may be whole, and only this machine cannot read it now: it would be left out for good.

    Args:
        error: what a decoder raised.
        path: of the file.

    Raises:
        DataError: memory is short, or the system refuses the file. EdgebllError: what was raised on purpose.
    """
    if isinstance(error, EdgebllError):
        raise error
    if isinstance(error, MemoryError):
        raise DataError(f"there is not enough memory to decode {path}; free some, or take the file out") from error
    if isinstance(error, OSError) and error.errno is not None and error.errno not in _OF_FILES:
        told = f"{path} cannot be read ({error.strerror or error}), which is no fault of its content"
        raise DataError(f"{told}; mend that and try again") from error


def parts_left(found: ClassFiles, decoded: DecodedFiles) -> npt.NDArray[np.int8]:
    """What each file is for (N,), see `held_out`: LEFT_OUT for those that could not be decoded."""
    parts = found.parts.copy()
    parts[list(decoded.faults)] = LEFT_OUT
    return parts


def files_left_out(found: ClassFiles, decoded: DecodedFiles) -> tuple[str, ...]:
    """Each file that could not be decoded, with the reason."""
    return tuple(f"{found.name_of(row)}: {reason}" for row, reason in sorted(decoded.faults.items()))
