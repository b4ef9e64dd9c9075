"""A digest of what is in files: by it a run knows its data again, and a cache what it was made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from edgebll.kernel.errors import DataError
from edgebll.kernel.limits import usable_cores
from edgebll.kernel.support.atomic_files import sha256_file


def digest_files(folder: Path, files: Sequence[Path]) -> str:
    """SHA-256 of the names of files below a folder and of what is in them; 64 hex digits.

    Args:
        folder: their names begin behind it, so that a folder may be moved.
        files: below it, in an order that only depends on their names.

    Raises:
        DataError: one cannot be read.
    """
    whole = hashlib.sha256()
    with ThreadPoolExecutor(usable_cores()) as pool:
        for path, digest in zip(files, pool.map(_digest, files), strict=True):
            whole.update(os.fsencode(path.relative_to(folder).as_posix()) + b"\0" + digest.encode())
    return whole.hexdigest()


def _digest(path: Path) -> str:
    try:
        return sha256_file(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); mend it or take it out") from error
