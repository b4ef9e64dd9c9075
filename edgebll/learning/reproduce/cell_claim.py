"""Which cell is being trained by somebody: a lock file each, so that several drivers may share one folder. No torch.

    OUT/TABLE/SCALE/locks/CELL      locked by the process that trains the cell, for as long as it lives

The system unlocks it when that process ends, however it ends, so nothing has to be cleaned up after a crash.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.scratch_files import lock

LOCKS = "locks"


@contextlib.contextmanager
def claimed(name: str, runs: Path) -> Iterator[bool]:
    """Claim a cell while the context is open; yields whether it is ours, which it is not where another process has it.

    Some network file systems know no locks: there every cell is ours.

    Args:
        name: of the cell's folder.
        runs: folder of the runs.

    Raises:
        StorageError: the disk refuses.
    """
    path = _lock_of(name, runs)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        yield lock(descriptor)
    finally:
        os.close(descriptor)


def is_claimed(name: str, runs: Path) -> bool:
    """Whether a process trains a cell now.

    Args:
        name: of the cell's folder.
        runs: folder of the runs.
    """
    try:
        with claimed(name, runs) as ours:
            return not ours
    except StorageError:
        return False


def _lock_of(name: str, runs: Path) -> Path:
    return runs.parent / LOCKS / name
