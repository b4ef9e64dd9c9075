"""What protects the folders of runs.

A folder that is not a run is never touched. A whole run, or an unfinished one with a checkpoint or snapshots, is only replaced
when that is asked for; a whole run is then kept beside it as `NAME.previous` until the new run is whole. Any other unfinished
run holds nothing to continue from and is replaced. While a run is being written its folder is locked, so that two processes
cannot write the same run.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import time
from pathlib import Path

from edgebll.kernel.errors import StorageError
from edgebll.kernel.support.atomic_files import storage_errors

CONFIG, SUMMARY, CHECKPOINT, SNAPSHOTS = "run.json", "summary.json", "checkpoint", "snapshots"
#: Whole snapshots that stay unless told otherwise: the newest may be damaged.
KEPT_SNAPSHOTS = 2


#: What flock says of a lock that another process has; and how long to wait for those that only ask for it.
_HELD, _ASKED_S, _LOOK_S = (errno.EWOULDBLOCK, errno.EACCES), 5.0, 0.005


def previous_run(target: Path) -> Path:
    """Where an earlier whole run is kept until the new one is whole."""
    return target.with_name(target.name + ".previous")


def check_replaceable(target: Path, overwrite: bool) -> None:
    """Raise StorageError if something at `target` must not be replaced."""
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / CONFIG).is_file():
        raise StorageError(f"{target} exists and is not a run; choose another folder or remove it")
    os.close(lock_folder(target))
    if overwrite:
        return
    if (target / SUMMARY).exists():
        raise StorageError(f"{target} holds a whole run; choose another folder or replace it with --overwrite")
    if (target / CHECKPOINT).exists() or (target / SNAPSHOTS).exists():
        raise StorageError(f"{target} holds an unfinished run; go on with --resume or replace it with --overwrite")


def clear_place(target: Path) -> Path | None:
    """Move a whole run aside and remove an unfinished one; returns where the last whole run is, if there is one."""
    previous = previous_run(target)
    if (target / SUMMARY).exists():
        shutil.rmtree(previous, ignore_errors=True)
        os.replace(target, previous)
    elif target.exists():
        shutil.rmtree(target)
    return previous if previous.exists() else None


def lock_folder(folder: Path) -> int:
    """Lock a folder until the returned descriptor is closed, at the latest when this process ends."""
    with storage_errors(folder):
        descriptor = os.open(folder, os.O_RDONLY)
    try:
        _lock(descriptor)
    except OSError as error:
        if error.errno in _HELD:
            os.close(descriptor)
            raise StorageError(f"another process is writing {folder}; wait for it or choose another folder") from error
        # Some network file systems know no locks: go on without.
    return descriptor


def _lock(descriptor: int) -> None:
    """Take the lock, unless somebody writes; whoever only asks (`is_locked`) has it for a moment, and is waited for."""
    deadline = time.monotonic() + _ASKED_S
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD or time.monotonic() > deadline:
                raise
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # raises where somebody writes
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(_LOOK_S)


def is_locked(folder: Path) -> bool | None:
    """Whether a process of this machine has locked a folder (`lock_folder`); None where that cannot be known."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared, so that nobody else who asks is misled
    except OSError as error:
        return True if error.errno in _HELD else None
    finally:
        os.close(descriptor)
    return False
