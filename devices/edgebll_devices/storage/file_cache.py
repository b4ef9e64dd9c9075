"""Files a board keeps, by SHA-256, so that a host sends each only once.

    DIR/objects/<sha256>       whole, verified files of bundles
    DIR/states/                those of snapshots, see state_files.py
    DIR/incoming/              files on their way in
    DIR/sessions/.<...>/       a bundle folder while its blocks are loaded: manifest.json and links to objects

Any number of agents may share a folder: files appear under their name only when whole, what is on its way is locked by its
agent (edgebll.kernel.support.scratch_files), and what was used within the hour is never pruned. An agent that finds a folder
gone makes it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from edgebll.kernel.bundle import MANIFEST
from edgebll.kernel.errors import StorageError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.support.atomic_files import sha256_file, storage_errors
from edgebll.kernel.support.scratch_files import LEFT_S, ScratchFile, scratch_folder, sweep
from edgebll_devices.storage.incoming_file import SCRATCH, Incoming
from edgebll_devices.storage.state_files import StateFiles, files_of, touch

DEFAULT_LIMIT_BYTES = 2 << 30
#: A file used within this time is never pruned: another agent may be about to link it.
_KEEP_S = 3600.0
#: What `keep` leaves free on the disk: states of snapshots must not be what fills it.
_SPARE_BYTES = 64 << 20
#: What bundle folders are called while blocks are loaded.
_SESSION = "bundle"


class FileCache:
    """The cache below one folder, which is made if need be.

    Args:
        root: the folder.
        limit_bytes: `prune` keeps at most this much, apart from files used recently; files of bundles before those of
            snapshots.
        owner: whose files of snapshots `states` has: no other agent removes them while they may be needed.

    Attributes:
        root: the folder.
        states: the files of snapshots.

    Raises:
        StorageError: the folder cannot be made or written.
    """

    def __init__(self, root: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES, owner: str = "") -> None:
        self._objects, self._incoming, self._sessions = (root / name for name in ("objects", "incoming", "sessions"))
        self.root, self._limit_bytes = root, limit_bytes
        self.states = StateFiles(root / "states", owner)
        _make(self._objects, self._incoming, self._sessions, self.states.folder)
        sweep(self._incoming, SCRATCH)
        sweep(self._sessions, _SESSION)
        _remove_forgotten(self._sessions, self._incoming)

    def has(self, entry: FileEntry) -> bool:
        """Whether the file is here and intact; a damaged one is removed.

        Raises:
            StorageError: the folder is damaged or may not be used.
        """
        return any(_is_intact(path, entry) for path in self._places(entry))

    def _places(self, entry: FileEntry) -> list[Path]:
        """Where a file is or may be, always in the same order: what comes before the first that is intact was removed."""
        return [self._objects / entry.sha256, *self.states.find(entry.sha256)]

    def missing(self, entries: Iterable[FileEntry]) -> dict[str, FileEntry]:
        """SHA-256 -> entry of the files that are not here, each once, in the order given."""
        distinct = {entry.sha256: entry for entry in entries}
        return {sha256: entry for sha256, entry in distinct.items() if not self.has(entry)}

    def adopt(self, run: str, snapshot: Mapping[str, FileEntry]) -> None:
        """Make files of a snapshot that other agents, or earlier releases, keep here this board's own, so that they stay.

        Args:
            run: whose snapshot.
            snapshot: name -> entry. What is not here is left out.

        Raises:
            StorageError: it cannot be written.
        """
        for name, entry in snapshot.items():
            target = self.states.path(run, name, entry.sha256)
            with storage_errors(target), contextlib.suppress(FileNotFoundError):
                found = [] if target.exists() else self.states.find(entry.sha256)
                if found:
                    link_or_copy(found[0], target, self._incoming)

    def receive(self, entry: FileEntry, target: Path | None = None) -> Incoming:
        """Start receiving a file: one of a bundle, or, with its path of `states` as `target`, one of a snapshot.

        Raises:
            StorageError: nothing can be written.
        """
        _make(self._objects, self._incoming)
        whole = self._objects / entry.sha256
        return Incoming(entry, self._incoming, target or whole, whole)

    def keep(self, run: str, name: str, content: bytes) -> None:
        """Keep a file of a snapshot of a run. One that is there already, as after a replay, is not written again.

        Raises:
            StorageError: it cannot be written, or there is no room for it beside the files of bundles.
        """
        path = self.states.path(run, name, hashlib.sha256(content).hexdigest())
        _make(self._objects, self._incoming, self.states.folder)
        with storage_errors(path):
            if path.exists() and path.stat().st_size == len(content):
                return touch(path)
            self._check_room(path, len(content))
            with ScratchFile(self._incoming, SCRATCH, 0o600) as scratch:
                scratch.stream.write(content)
                scratch.stream.flush()
                touch(scratch.path)
                scratch.place(path)
        return None

    def _check_room(self, path: Path, size_bytes: int) -> None:
        if shutil.disk_usage(self._incoming).free < size_bytes + _SPARE_BYTES:
            raise StorageError(f"cannot write {path}: less than {_SPARE_BYTES >> 20} MiB would be left free; free some space")
        if self.states.size_bytes() + size_bytes > self._room_bytes():
            raise StorageError(f"cannot write {path}: the files kept would exceed {self._limit_bytes >> 20} MiB")

    def _room_bytes(self) -> int:
        """What files of bundles leave to those of snapshots."""
        return max(0, self._limit_bytes - sum(size for _, size, _ in files_of(self._objects)))

    @contextlib.contextmanager
    def materialised(self, manifest: bytes, files: Mapping[str, FileEntry]) -> Iterator[Path]:
        """A bundle folder with this manifest.json and these files (bundle path -> entry), for the length of a `with`.

        Raises:
            StorageError: it cannot be written, or a file is not in the cache.
        """
        _make(self._sessions)
        with contextlib.ExitStack() as stack:
            with storage_errors(self._sessions):
                folder = stack.enter_context(scratch_folder(self._sessions, _SESSION))
            with storage_errors(folder):
                (folder / MANIFEST).write_bytes(manifest)
                for name, entry in files.items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    self._give(entry, folder / name)
            yield folder

    def _give(self, entry: FileEntry, target: Path) -> None:
        *others, last = self._places(entry)
        for place in others:
            with contextlib.suppress(FileNotFoundError):
                return link_or_copy(place, target, target.parent)
        return link_or_copy(last, target, target.parent)

    def prune(self) -> None:
        """Remove the files used longest ago until the rest fits the limit, those of snapshots first."""
        self.states.prune(self._room_bytes(), _KEEP_S)
        found = sorted(files_of(self._objects))
        total = sum(size for _, size, _ in found)
        for used, size, path in found:
            if total <= self._limit_bytes or time.time() - used < _KEEP_S:
                return
            path.unlink(missing_ok=True)
            total -= size


def _make(*folders: Path) -> None:
    """Make the folders that are not there, for the first time or again."""
    for folder in folders:
        with storage_errors(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _is_intact(path: Path, entry: FileEntry) -> bool:
    """Whether a file is there and what it must be; it is used now if so, and removed if not."""
    with storage_errors(path):
        try:
            found = path.stat()
            if found.st_size == entry.size_bytes and sha256_file(path) == entry.sha256:
                touch(path)
                return True
            if os.path.samestat(found, path.stat()):  # else another agent has put a whole one there
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        return False


def link_or_copy(source: Path, target: Path, scratch: Path) -> None:
    """Have a file under another name as well; a copy, made in the folder `scratch`, where there are no hard links.

    Raises:
        OSError: it cannot be written; FileNotFoundError: there is no `source`.
    """
    with contextlib.suppress(FileExistsError):
        try:
            return os.link(source, target)
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError:
            with source.open("rb") as whole, ScratchFile(scratch, SCRATCH, 0o600) as copy:
                shutil.copyfileobj(whole, copy.stream)
                copy.place(target)
    return None


def _remove_forgotten(*folders: Path) -> None:
    """Remove what agents of earlier releases left, who knew each other by process ids alone."""
    for path in (path for folder in folders for path in folder.iterdir() if not path.name.startswith(".")):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > LEFT_S:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
