"""Files of snapshots a board keeps, apart from those of bundles: they change all the time, and are the first to go.

    DIR/states/<board, run and name, hashed>.<sha256>      e.g. of a run's block0.safetensors, as it was at one of its snapshots

Which ones are the newest is told by the time of last use, which `touch` sets: a recovery may go back to an earlier snapshot.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

_KEY_CHARS = 24
#: What nobody used for so long belongs to a run that is over.
_FORGOTTEN_S = 24 * 3600.0


class StateFiles:
    """The files of snapshots in one folder. Without them all goes on, so what cannot be read or removed raises nothing.

    Args:
        folder: where they lie; it exists.
        owner: the board, whose files alone `trim` removes.
    """

    def __init__(self, folder: Path, owner: str = "") -> None:
        self.folder, self._owner = folder, owner

    def path(self, run: str, name: str, sha256: str) -> Path:
        """Where the file `name` of a snapshot of a run belongs, whether it is there or not."""
        return self.folder / f"{self._key(run, name)}.{sha256}"

    def find(self, sha256: str) -> list[Path]:
        """The files with this content by their names, of whatever board and run; none if the folder cannot be read."""
        with contextlib.suppress(OSError):
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(f".{sha256}"))
        return []

    def trim(self, run: str, name: str, keep: int) -> int:
        """Remove all but those used last of the board's own files `name` of a run; returns how many went."""
        key = f"{self._key(run, name)}."
        old = [path for _, _, path in self._by_use() if path.name.startswith(key)][: -keep or None]
        with contextlib.suppress(OSError):  # a disk that has become read-only
            for path in old:
                path.unlink(missing_ok=True)
        return len(old)

    def prune(self, room_bytes: int, keep_s: float) -> None:
        """Remove those that belong to no run any more, then the ones used longest ago until the rest fits.

        Args:
            room_bytes: what there is room for.
            keep_s: one used within this time stays; an agent may be about to link it.
        """
        found = self._by_use()
        total = sum(size for _, size, _ in found)
        for used, size, path in found:
            unused_s = time.time() - used
            if unused_s < keep_s or (unused_s < _FORGOTTEN_S and total <= room_bytes):
                return
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size

    def size_bytes(self) -> int:
        """Of all files, on the disk: what several boards have is there once where they have links to it."""
        sizes = {}
        with contextlib.suppress(OSError):
            for path in self.folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    status = path.stat()
                    sizes[status.st_dev, status.st_ino] = status.st_size
        return sum(sizes.values())

    def _key(self, run: str, name: str) -> str:
        return hashlib.sha256(f"{self._owner}\0{run}\0{name}".encode()).hexdigest()[:_KEY_CHARS]

    def _by_use(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path of every file, the one used longest ago first; none if they cannot be read."""
        with contextlib.suppress(OSError):
            return sorted(files_of(self.folder))
        return []


def files_of(folder: Path) -> Iterator[tuple[float, int, Path]]:
    """Time of last use (seconds), size (bytes) and path of the files in a folder; those that vanish meanwhile are left out."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            status = path.stat()
            yield status.st_mtime_ns / 1e9, status.st_size, path


def touch(path: Path) -> None:
    """Note that a file was used now; the system's own times of files are too coarse to tell which of two came later."""
    now_ns = time.time_ns()
    os.utime(path, ns=(now_ns, now_ns))
