"""What was decoded once, as an array on the disk that is mapped into memory: images and sounds are never read twice.

    $XDG_CACHE_HOME/edgebll/decoded/<key>.npy     (N, ...), zeros for a file that could not be decoded
    $XDG_CACHE_HOME/edgebll/decoded/<key>.json    which files those were and why, and the SHA-256 of the array's numbers

The key is a digest of the files and of how they are decoded, so nothing there is ever wrong, only unused; what was not used for
a month goes when something new comes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.support.atomic_files import sync_folder, write_json
from edgebll.kernel.support.scratch_files import ScratchFile, sweep
from edgebll.kernel.support.user_folders import xdg_base

#: A file as it was decoded, or why it could not be.
Decoded = npt.NDArray[Any] | str
_UNUSED_S = 30 * 24 * 3600.0


@dataclass(frozen=True)
class DecodedFiles:
    """Decoded files.

    Attributes:
        array: (N, ...), a row a file.
        faults: why a file could not be decoded, by its row.
        sha256: of the array's numbers.
    """

    array: npt.NDArray[Any]
    faults: Mapping[int, str]
    sha256: str


def cache_folder() -> Path:
    """Where decoded files are kept."""
    return xdg_base("XDG_CACHE_HOME", ".cache") / "edgebll" / "decoded"


def decoded_files(
    recipe: Mapping[str, Any], shape: tuple[int, ...], dtype: str, decode: Callable[[], Iterator[Decoded]]
) -> DecodedFiles:
    """Files decoded now or earlier; in memory where the disk refuses.

    Args:
        recipe: what decides the result: digest, sizes, decoder.
        shape: of the result (N, ...).
        dtype: of the result, e.g. "uint8".
        decode: begins to decode; gives the rows in order.
    """
    key = hashlib.sha256(json.dumps({**recipe, "shape": shape, "dtype": dtype}, sort_keys=True).encode()).hexdigest()
    folder = cache_folder()
    found = _kept(folder, key, shape, dtype)
    if found is not None:
        return found
    try:
        _write(folder, key, shape, dtype, decode())
    except OSError:  # read-only or full: what is decoded then lives as long as this process
        return _in_memory(shape, dtype, decode())
    return _kept(folder, key, shape, dtype) or _in_memory(shape, dtype, decode())


def _kept(folder: Path, key: str, shape: tuple[int, ...], dtype: str) -> DecodedFiles | None:
    path = folder / f"{key}.npy"
    try:
        noted = json.loads((folder / f"{key}.json").read_text("utf-8"))
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        faults, sha256 = {int(row): str(reason) for row, reason in noted["faults"].items()}, str(noted["sha256"])
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return None
    if array.shape != shape or array.dtype != dtype:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)
    return DecodedFiles(np.asarray(array), faults, sha256)


def _write(folder: Path, key: str, shape: tuple[int, ...], dtype: str, rows: Iterator[Decoded]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _forget_unused(folder)
    target = folder / f"{key}.npy"
    sweep(folder, target.name)
    with ScratchFile(folder, target.name) as scratch:
        head = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(scratch.stream, head)
        digest, faults = hashlib.sha256(), dict[int, str]()
        for values in _numbers(shape, dtype, rows, faults):
            scratch.stream.write(values)
            digest.update(values)
        write_json(folder / f"{key}.json", {"faults": faults, "sha256": digest.hexdigest()})
        scratch.place(target)
    sync_folder(folder)


def _in_memory(shape: tuple[int, ...], dtype: str, rows: Iterator[Decoded]) -> DecodedFiles:
    array, faults, digest = np.zeros(shape, dtype), dict[int, str](), hashlib.sha256()
    for row, values in enumerate(_numbers(shape, dtype, rows, faults)):
        array[row] = np.frombuffer(values, dtype).reshape(shape[1:])
        digest.update(values)
    return DecodedFiles(array, faults, digest.hexdigest())


def _numbers(shape: tuple[int, ...], dtype: str, rows: Iterator[Decoded], faults: dict[int, str]) -> Iterator[bytes]:
    """The bytes of each row, zeros for one that could not be decoded, of which `faults` is told."""
    nothing = np.zeros(shape[1:], dtype).tobytes()
    for row, decoded in enumerate(rows):
        if isinstance(decoded, str):
            faults[row] = decoded
        yield nothing if isinstance(decoded, str) else np.ascontiguousarray(decoded, dtype).tobytes()


def _forget_unused(folder: Path) -> None:
    """Remove what nobody has used for long."""
    with contextlib.suppress(OSError):
        for path in folder.glob("*.npy"):
            if path.stat().st_mtime < time.time() - _UNUSED_S:
                path.unlink()
                path.with_suffix(".json").unlink(missing_ok=True)
