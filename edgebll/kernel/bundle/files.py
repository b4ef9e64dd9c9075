"""The files of a bundle on disk: nothing outside its folder, nothing but what the manifest's SHA-256 says."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from edgebll.kernel.errors import BundleError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.spec.manifest import MAX_NAME_CHARS
from edgebll.kernel.support.atomic_files import read_capped, sha256_file
from edgebll.kernel.support.plain_dataclasses import short

_SAFE_PATH = re.compile(r"[A-Za-z0-9_]+(/[A-Za-z0-9_]+)*\.[a-z0-9]+")


def check_names(names: Iterable[str], where: str) -> None:
    """Refuse file names that lead out of the bundle, or that are one file where upper and lower case are not told apart.

    Raises:
        BundleError: a name that is no plain path, or is taken; `where` names the manifest.
    """
    taken: set[str] = set()
    for name in names:
        if not _SAFE_PATH.fullmatch(name) or len(name) > MAX_NAME_CHARS:
            raise BundleError(f"{where} names the file {short(name)}, which is not a plain path inside the bundle")
        if name.lower() in taken:
            raise BundleError(f"{where} names the file {short(name)}, which is another file's name; export the bundle again")
        taken.add(name.lower())


def inside(folder: Path, name: str) -> Path:
    """Where a file of a bundle is.

    Raises:
        BundleError: there is a link on the way, which could lead out of the bundle, or a pipe or device.
    """
    path = folder
    for part in name.split("/"):
        path /= part
        if path.is_symlink():
            raise BundleError(f"{path} is a link, which a bundle must not have; export the bundle again")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise BundleError(f"{path} is not a file; export the bundle again")
    return path


def check_file(folder: Path, name: str, entry: FileEntry) -> None:
    """Raise BundleError unless a file is there, with the size and SHA-256 of the manifest."""
    path = inside(folder, name)
    if not path.is_file():
        raise BundleError(f"{path} is missing; export the bundle again")
    try:
        intact = path.stat().st_size == entry.size_bytes and sha256_file(path) == entry.sha256
    except OSError as error:
        raise _unreadable(path, error) from error
    if not intact:
        raise _changed(path)


def read_file(folder: Path, name: str, entry: FileEntry, cap: int) -> bytes:
    """A file's content: exactly what the manifest promises, whenever the file was changed.

    Raises:
        BundleError: it cannot be read, has more than `cap` bytes, is a link, or is another file.
    """
    path = inside(folder, name)
    try:
        content = read_capped(path, cap)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise BundleError(f"{error}; export the bundle again") from error
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise _changed(path)
    return content


def _unreadable(path: Path, error: OSError) -> BundleError:
    return BundleError(f"{path} cannot be read ({error.strerror}); export the bundle again")


def _changed(path: Path) -> BundleError:
    return BundleError(f"{path} is not the file the manifest promises (its SHA-256 differs); export the bundle again")
