"""Files a board keeps, by SHA-256, so that a host sends each only once.

    DIR/objects/<sha256>       whole, verified files of bundles
    DIR/states/                those of snapshots, see state_files.py
    DIR/incoming/              files on their way in
    DIR/sessions/<pid>.<...>/  a bundle folder while its blocks are loaded: manifest.json and links to objects

Several agents of one machine may share a folder: files appear under their name only when whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from edgebll.bundle import MANIFEST
from edgebll.errors import StorageError, WireError
from edgebll.files import sha256_file, storage_errors
from edgebll.spec import FileEntry
from edgebll_devices.state_files import StateFiles, files_of, touch

DEFAULT_LIMIT_BYTES = 2 << 30
#: A file used within this time is never pruned: another agent may be about to link it.
_KEEP_S = 3600.0
#: What `keep` leaves free on the disk: states of snapshots must not be what fills it.
_SPARE_BYTES = 64 << 20


class FileCache:
    """The cache below one folder, which is made if need be.

    Args:
        root: the folder.
        limit_bytes: `prune` keeps at most this much, apart from files used recently; files of bundles before those of
            snapshots.

    Attributes:
        states: the files of snapshots.

    Raises:
        StorageError: the folder cannot be made or written.
    """

    def __init__(self, root: Path, *, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> None:
        self._objects, self._incoming, self._sessions = (root / name for name in ("objects", "incoming", "sessions"))
        self._limit_bytes = limit_bytes
        self.states = StateFiles(root / "states")
        for folder in (self._objects, self._incoming, self._sessions, root / "states"):
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._remove_orphans()

    def _remove_orphans(self) -> None:
        """Remove what agents left that were killed; their process ids lead the names."""
        for path in (*self._sessions.iterdir(), *self._incoming.iterdir()):
            pid = path.name.partition(".")[0]
            if not pid.isdigit() or not Path("/proc", pid).exists():
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def has(self, entry: FileEntry) -> bool:
        """Whether the file is here and intact; a damaged one is removed.

        Raises:
            StorageError: the folder is damaged or may not be used.
        """
        path = self._path(entry)
        with storage_errors(path):
            try:
                if path.stat().st_size == entry.size_bytes and sha256_file(path) == entry.sha256:
                    touch(path)
                    return True
            except FileNotFoundError:
                return False
            path.unlink(missing_ok=True)
        return False

    def _path(self, entry: FileEntry) -> Path:
        """Where a file is, or would be if it is one of a bundle."""
        path = self._objects / entry.sha256
        return path if path.exists() else self.states.find(entry.sha256) or path

    def missing(self, entries: Iterable[FileEntry]) -> dict[str, FileEntry]:
        """SHA-256 -> entry of the files that are not here, each once, in the order given."""
        distinct = {entry.sha256: entry for entry in entries}
        return {sha256: entry for sha256, entry in distinct.items() if not self.has(entry)}

    def receive(self, entry: FileEntry, target: Path | None = None) -> Incoming:
        """Start receiving a file: one of a bundle, or, with its path of `states` as `target`, one of a snapshot.

        Raises:
            StorageError: nothing can be written.
        """
        whole = self._objects / entry.sha256
        return Incoming(entry, self._incoming, target or whole, whole)

    def keep(self, run: str, name: str, content: bytes) -> None:
        """Keep a file of a snapshot of a run. One that is there already, as after a replay, is not written again.

        Raises:
            StorageError: it cannot be written, or there is no room for it beside the files of bundles.
        """
        path = self.states.path(run, name, hashlib.sha256(content).hexdigest())
        with storage_errors(path):
            if path.exists() and path.stat().st_size == len(content):
                return touch(path)
            self._check_room(path, len(content))
            handle, partial = tempfile.mkstemp(prefix=f"{os.getpid()}.", dir=self._incoming)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                touch(Path(partial))
                os.replace(partial, path)
            except BaseException:
                os.unlink(partial)
                raise
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
        with storage_errors(self._sessions):
            folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}.", dir=self._sessions))
        try:
            with storage_errors(folder):
                (folder / MANIFEST).write_bytes(manifest)
                for name, entry in files.items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    _link(self._path(entry), folder / name)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

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


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except PermissionError:  # a file system without hard links
        shutil.copyfile(source, target)


class Incoming:
    """A file on its way into the cache, piece by piece in order."""

    def __init__(self, entry: FileEntry, folder: Path, target: Path, otherwise: Path) -> None:
        self._entry, self._target, self._otherwise = entry, target, otherwise
        self._digest = hashlib.sha256()
        self._size = 0
        self._path = target
        self._stream: BinaryIO
        with storage_errors(target):
            handle, name = tempfile.mkstemp(prefix=f"{os.getpid()}.", dir=folder)
            self._path, self._stream = Path(name), os.fdopen(handle, "wb")

    def add(self, offset: int, total_bytes: int, data: bytes) -> bool:
        """Take a piece; return whether the file is whole and now in the cache.

        Raises:
            WireError: the piece does not follow the last one, or size or SHA-256 of the file differ.
            StorageError: it cannot be written.
        """
        name, size = self._entry.sha256[:12], self._entry.size_bytes
        if total_bytes != size or offset != self._size or offset + len(data) > size:
            raise WireError(
                f"the file {name} should go on at byte {self._size} of {size}, but {len(data)} bytes came "
                f"for byte {offset} of {total_bytes}; send it again from the start"
            )
        with storage_errors(self._target):
            self._stream.write(data)
        self._digest.update(data)
        self._size += len(data)
        if self._size == size:
            self._finish()
        return self._size == size

    def _finish(self) -> None:
        if self._digest.hexdigest() != self._entry.sha256:
            raise WireError(f"the file {self._entry.sha256[:12]} arrived with another SHA-256; export the bundle again")
        with storage_errors(self._target):
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
            touch(self._path)
            try:
                os.replace(self._path, self._target)
            except OSError:
                os.replace(self._path, self._otherwise)

    def abort(self) -> None:
        """Forget a file that will not become whole; no effect on one that did."""
        if not self._stream.closed:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._path.unlink(missing_ok=True)
