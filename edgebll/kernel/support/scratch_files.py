"""Files and folders on their way to their place, so that any number of processes may write at once.

Each has a name of its own and is locked by whoever writes it. A process that is killed leaves it behind, but not the lock:
`sweep` removes what nobody holds. Locks count in every container and, where the mount has locks, on every machine that shares a
folder; process ids mean nothing there. Where there are no locks, what nobody touched for a day counts as left behind.

    .NAME.<random>.partial    a file, or a folder
    .NAME.<random>.lock       that of a folder
    .NAME.<random>.earlier    what a folder is about to take the place of
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

PARTIAL, LOCK, EARLIER = ".partial", ".lock", ".earlier"
#: What flock says of a lock that somebody else has.
HELD = (errno.EWOULDBLOCK, errno.EACCES)
#: Without locks: how long nobody must have touched what counts as left behind.
LEFT_S = 24 * 3600.0
_NAME_CHARS, _TRIES = 120, 100


class ScratchFile:
    """A new file in a folder, open for writing; use it as a context manager, or `discard` it.

    Args:
        folder: where; it exists.
        name: of what it is to become.
        mode: of the file, less the umask.
        suffix: PARTIAL, or LOCK for one that only stands for others.

    Attributes:
        path: of the file.
        stream: to write to.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, folder: Path, name: str, mode: int = 0o666, suffix: str = PARTIAL) -> None:
        for _ in range(_TRIES):
            self.path = folder / f"{_prefix(name)}{secrets.token_hex(8)}{suffix}"
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
            if _keep(descriptor, self.path):
                self.stream = os.fdopen(descriptor, "wb")
                return
            os.close(descriptor)  # swept before it was locked
        raise OSError(errno.EAGAIN, "every new file is removed by somebody else")

    def place(self, target: Path) -> None:
        """Put what was written on the disk and under its name; only then the lock is let go.

        Raises:
            OSError: the disk refuses.
        """
        self.stream.flush()
        os.fsync(self.stream.fileno())
        os.replace(self.path, target)
        self.stream.close()

    def place_new(self, target: Path) -> None:
        """As `place`, unless something has the name already.

        Raises:
            FileExistsError: something has. OSError: the disk refuses.
        """
        self.stream.flush()
        os.fsync(self.stream.fileno())
        try:
            os.link(self.path, target)
        except FileExistsError:
            raise
        except OSError:  # no hard links there
            with folder_lock(target.parent):
                if target.exists():
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
                self.place(target)

    def discard(self) -> None:
        """Remove the file; no effect once it has its place."""
        if not self.stream.closed:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # what was not written yet need not be
                self.stream.close()

    def __enter__(self) -> ScratchFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.discard()


@contextlib.contextmanager
def scratch_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new, empty folder in `folder`, which is removed at the end unless it was renamed.

    Args:
        folder: where; it exists.
        name: of what it is to become.

    Raises:
        OSError: it cannot be made.
    """
    with ScratchFile(folder, name, suffix=LOCK) as lock:
        path = lock.path.with_suffix(PARTIAL)
        try:
            path.mkdir(mode=0o777)
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def sweep(folder: Path, name: str, *, earlier: bool = True) -> None:
    """Remove what processes that were killed have left of `name` in `folder`; what cannot be removed stays.

    Args:
        folder: where the file lies or will lie.
        name: of the file.
        earlier: also what a folder was about to take the place of; it may be the only whole one.
    """
    prefix = _prefix(name)
    with contextlib.suppress(OSError):
        found = [path for path in folder.iterdir() if path.name.startswith(prefix)]
        for path in found:
            if path.suffix == LOCK or (path.suffix == PARTIAL and path.with_suffix(LOCK) not in found):
                _remove_if_left(path, earlier=earlier)


def lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if somebody else has it, True also where there are no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in HELD
    return True


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process has a folder locked so, and keep it locked for the length of a `with`.

    Raises:
        OSError: the folder cannot be opened.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        with contextlib.suppress(OSError):  # some network file systems know no locks of folders: go on without
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _prefix(name: str) -> str:
    return f".{name[:_NAME_CHARS]}."


def _keep(descriptor: int, path: Path) -> bool:
    """Lock a new file; whether it is still there: `sweep` may have come first."""
    try:
        return lock(descriptor) and os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _remove_if_left(path: Path, *, earlier: bool) -> None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return  # it has its place by now, or is another user's
    try:
        if _is_left(descriptor):
            for suffix in (PARTIAL, EARLIER) if earlier else (PARTIAL,):
                if path.suffix == LOCK:
                    shutil.rmtree(path.with_suffix(suffix), ignore_errors=True)
            if earlier or not path.with_suffix(EARLIER).exists():
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_left(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in HELD and time.time() - os.fstat(descriptor).st_mtime > LEFT_S
    return True
