"""The number of a run's last incarnation, on the disk: boards refuse lower ones than they have seen."""

from __future__ import annotations

import time
from pathlib import Path

from edgebll.kernel.errors import BundleError
from edgebll.kernel.runs.run_record import read_json
from edgebll.kernel.support.atomic_files import write_json

INCARNATION = "incarnation.json"
_MAX_INCARNATION = 1 << 53  # beyond is none that was ever counted to


def last_incarnation(run: Path, *, resumed: bool) -> int:
    """The number on the disk, 0 in a new run. Where it was lost, one that is surely higher.

    Args:
        run: the run folder.
        resumed: whether another process began the run.
    """
    try:
        last = read_json(run, INCARNATION, "has no incarnation").get("incarnation")
    except BundleError:
        last = None
    if isinstance(last, int) and 0 < last <= _MAX_INCARNATION:
        return last
    return int(time.time()) if resumed else 0


def write_incarnation(run: Path, number: int) -> None:
    """Put a number on the disk.

    Raises:
        StorageError: the disk refuses.
    """
    write_json(run / INCARNATION, {"incarnation": number})
