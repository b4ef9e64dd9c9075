"""`edgebll data fetch`: getting a data set's files and checking that they are the right ones."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import shutil
import tarfile
import zlib
from collections.abc import Callable
from pathlib import Path

from edgebll.data.cifar import CIFAR10, CIFAR100, Cifar
from edgebll.data.corpora import CORPORA
from edgebll.data.data_folders import user_data_dir
from edgebll.data.download import Limits, Report, download
from edgebll.data.fashion_mnist import FILES, NAME, URL, IdxFile, find_file
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.support.atomic_files import sha256_file, storage_errors
from edgebll.kernel.support.scratch_files import folder_lock

_PIECE_BYTES = 1 << 20
_ARCHIVES = {cifar.name: cifar for cifar in (CIFAR10, CIFAR100)}
#: Told (file name, bytes so far, total bytes or None).
FetchReport = Callable[[str, int, "int | None"], None]


def fetch(
    name: str,
    to: Path | None = None,
    *,
    url: str | None = None,
    limits: Limits | None = None,
    report: FetchReport | None = None,
) -> Path:
    """Download the files of a data set that are not yet there; returns their folder.

    Args:
        name: of the data set, as in FILES.
        to: folder for the files; by default `NAME` in the user's data folder.
        url: another address than the official one: of the archive, or for fashion-mnist of the folder with the .gz files.
        limits: of size and time; by default generous ones.
        report: told how far each download is.

    Raises:
        ConfigError: nothing to download under this name. DataError: the download failed or gave a wrong file.
        StorageError: the disk refuses.
    """
    if name in CORPORA:
        raise ConfigError(f"the text {name} is not downloaded by edgebll: {CORPORA[name].how}")
    if name != NAME and name not in _ARCHIVES:
        known = ", ".join((NAME, *_ARCHIVES))
        raise ConfigError(f"there is nothing to download for {name!r}; {known} can be fetched, the others need no files")
    folder = to if to is not None else user_data_dir() / name
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        with storage_errors(folder):
            stack.enter_context(folder_lock(folder))  # what another process is fetching is there when it has ended
        if name in _ARCHIVES:
            return _fetch_archive(_ARCHIVES[name], folder, url, limits, report or _silent)
        for pair in FILES.values():
            for file in pair:
                _fetch_file(file, folder, url or URL, limits or Limits(max_bytes=2 * file.size_bytes), report or _silent)
    return folder


def _fetch_file(file: IdxFile, folder: Path, url: str, limits: Limits, report: FetchReport) -> None:
    present = find_file(folder, file.name)
    if present is not None and content_sha256(present, file.size_bytes) == file.sha256:
        return
    target = folder / f"{file.name}.gz"
    partial = folder / f"{file.name}.gz.partial"

    def right(path: Path) -> bool:
        return content_sha256(path, file.size_bytes) == file.sha256

    address = f"{url.rstrip('/')}/{target.name}"
    _download(address, partial, right, limits, lambda done, total: report(target.name, done, total))
    with storage_errors(target):
        os.replace(partial, target)
        if present is not None and present != target:
            present.unlink()  # a damaged plain file would be found before the new one


def _fetch_archive(cifar: Cifar, to: Path, url: str | None, limits: Limits | None, report: FetchReport) -> Path:
    folder, address = to / cifar.folder, url or cifar.url
    digests = {name: digest for files in cifar.files.values() for name, digest in files.items()}
    if all((folder / name).is_file() and sha256_file(folder / name) == digest for name, digest in digests.items()):
        return folder
    name = cifar.url.rpartition("/")[2]
    partial = to / f"{name}.partial"

    def right(path: Path) -> bool:
        return sha256_file(path) == cifar.archive_sha256

    limits = limits or Limits(max_bytes=2 * cifar.archive_bytes)
    _download(address, partial, right, limits, lambda done, total: report(name, done, total))
    _unpack(partial, cifar, folder)
    with storage_errors(partial):
        partial.unlink()
    return folder


def _unpack(archive: Path, cifar: Cifar, folder: Path) -> None:
    """Take the data files, and nothing else, out of the archive."""
    with storage_errors(folder), tarfile.open(archive, "r:gz") as tar:
        folder.mkdir(exist_ok=True)
        for name in cifar.names:
            content = tar.extractfile(f"{cifar.folder}/{name}")
            if content is None:
                raise DataError(f"{archive} does not hold {name} as a file; give another address with --url")
            temporary = folder / f"{name}.partial"
            with content, temporary.open("wb") as stream:
                shutil.copyfileobj(content, stream)
            os.replace(temporary, folder / name)


def _download(address: str, partial: Path, right: Callable[[Path], bool], limits: Limits, report: Report) -> None:
    """Download to `partial`, going on from what is there, until it is `right`."""
    resumed = partial.exists()
    while True:
        download(address, partial, limits, report)
        if right(partial):
            return
        with storage_errors(partial):
            partial.unlink()
        if not resumed:
            raise DataError(f"{address} is not the expected file (its SHA-256 differs); give another address with --url")
        resumed = False  # what an earlier attempt left may have been another file: once more from the beginning


def content_sha256(path: Path, max_bytes: int) -> str:
    """SHA-256 (hex) of a gzip file's decompressed content, or of a plain file; empty if damaged or above `max_bytes`."""
    digest, count = hashlib.sha256(), 0
    opener = gzip.open if path.name.removesuffix(".partial").endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                digest.update(piece)
                count += len(piece)
                if count > max_bytes:
                    return ""
    except (EOFError, OSError, zlib.error):
        return ""
    return digest.hexdigest()


def _silent(_name: str, _done: int, _total: int | None) -> None:
    pass
