"""Writing files so that a reader sees the old one or the whole new one, never a half."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.scratch_files import ScratchFile, sweep

_CHUNK_BYTES = 1 << 20


_NOT_FOR_SPACE = (
    errno.EEXIST,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


@contextlib.contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Translate an OSError on `path` (disk full, no permission) into a StorageError with one sentence."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        advice = "choose another folder" if error.errno in _NOT_FOR_SPACE else "free some space or choose another folder"
        raise StorageError(f"cannot write {path}: {reason}; {advice}") from error


def read_capped(path: Path, cap: int) -> bytes:
    """Content of a file of at most `cap` bytes; the size is asked before memory is taken.

    Raises:
        OSError: it cannot be read. ValueError: it is larger, or grows meanwhile.
    """
    with path.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > cap:
            raise ValueError(f"{path} has {size} bytes; the cap is {cap}")
        content = stream.read(size)
        if stream.read(1):
            raise ValueError(f"{path} grows while it is read")
    return content


def check_parents(path: Path) -> None:
    """Raise StorageError where folders to be made for `path` would begin at the root of the file system, as typing errors do.

    Folders inside others may be made.
    """
    missing = [folder for folder in path.absolute().parents if not folder.exists()]
    if missing and missing[-1].parent == Path(path.absolute().anchor):
        raise StorageError(f"cannot write {path}: there is no folder {missing[-1]}; make it first or choose another folder")


def sha256_file(path: Path) -> str:
    """SHA-256 of a file as 64 hex digits, read in pieces of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def sync_folder(path: Path) -> None:
    """Put the names in a folder on the disk: a rename in it is only then sure to be there after a loss of power."""
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_synced(path: Path, data: bytes) -> None:
    """Write a new file and put its content on the disk; its name is there after `sync_folder`.

    Raises:
        StorageError: the file cannot be written.
    """
    with storage_errors(path), path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def write_atomic(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Write `data` to `path` by way of a synced file of another name, a rename, and a sync of the folder.

    Any number of processes may do so at once: the last one's is there in the end.

    Args:
        path: of the file.
        data: its whole content.
        mode: of the file from its first byte on, less the umask.

    Raises:
        StorageError: the file cannot be written; the old content, if any, is untouched.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent, path.name)
        with ScratchFile(path.parent, path.name, mode) as scratch:
            scratch.stream.write(data)
            scratch.place(path)
    sync_folder(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """Write `data` to `path` as `write_atomic` does, readable for its owner alone from the first byte on.

    Raises:
        StorageError: the file cannot be written; the old content, if any, is untouched.
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(path, data, mode=0o600)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; non-finite numbers are refused by the encoder."""
    write_atomic(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())
