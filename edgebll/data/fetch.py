"""`edgebll data fetch`: getting a data set's files and checking that they are the right ones."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from edgebll.data.download import Limits, download
from edgebll.data.fashion_mnist import FILES, NAME, URL, IdxFile, find_file
from edgebll.data.registry import user_data_dir
from edgebll.errors import ConfigError, DataError
from edgebll.files import storage_errors

_PIECE_BYTES = 1 << 20
#: Told (file name, bytes so far, total bytes or None).
FetchReport = Callable[[str, int, "int | None"], None]


def fetch(
    name: str, to: Path | None = None, *, url: str = URL, limits: Limits | None = None, report: FetchReport | None = None
) -> Path:
    """Download the files of a data set that are not yet there; returns their folder.

    Args:
        to: folder for the files; by default `NAME` in the user's data folder. url: where the files are, as NAME.gz.
        report: told how far each download is.

    Raises:
        ConfigError: nothing to download under this name. DataError: the download failed or gave a wrong file.
        StorageError: the disk refuses.
    """
    if name != NAME:
        raise ConfigError(f"there is nothing to download for {name!r}; {NAME} can be fetched, digits comes with scikit-learn")
    folder = to if to is not None else user_data_dir() / name
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for pair in FILES.values():
        for file in pair:
            _fetch_file(file, folder, url, limits or Limits(max_bytes=2 * file.size_bytes), report or _silent)
    return folder


def _fetch_file(file: IdxFile, folder: Path, url: str, limits: Limits, report: FetchReport) -> None:
    present = find_file(folder, file.name)
    if present is not None and content_sha256(present, file.size_bytes) == file.sha256:
        return
    target = folder / f"{file.name}.gz"
    partial = folder / f"{file.name}.gz.partial"
    address = f"{url.rstrip('/')}/{target.name}"
    resumed = partial.exists()
    while True:
        download(address, partial, limits, lambda done, total: report(target.name, done, total))
        if content_sha256(partial, file.size_bytes) == file.sha256:
            break
        with storage_errors(partial):
            partial.unlink()
        if not resumed:
            raise DataError(f"{address} is not the expected file (its SHA-256 differs); give another address with --url")
        resumed = False  # what an earlier attempt left may have been another file: once more from the beginning
    with storage_errors(target):
        os.replace(partial, target)
        if present is not None and present != target:
            present.unlink()  # a damaged plain file would be found before the new one


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
