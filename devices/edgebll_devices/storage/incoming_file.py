"""A file on its way from a host into the cache, piece by piece in order."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgebll.kernel.errors import WireError
from edgebll.kernel.spec.file_entry import FileEntry
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.scratch_files import ScratchFile
from edgebll_devices.storage.state_files import touch

#: What files on their way are called.
SCRATCH = "file"


class Incoming:
    """A file that is being received.

    Args:
        entry: size and SHA-256 it must have.
        folder: where it is until it is whole.
        target: where it belongs then.
        otherwise: where it goes if that folder cannot be used.

    Raises:
        StorageError: nothing can be written.
    """

    def __init__(self, entry: FileEntry, folder: Path, target: Path, otherwise: Path) -> None:
        self._entry, self._target, self._otherwise = entry, target, otherwise
        self._digest = hashlib.sha256()
        self._size = 0
        with storage_errors(target):
            self._scratch = ScratchFile(folder, SCRATCH, 0o600)

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
            self._scratch.stream.write(data)
        self._digest.update(data)
        self._size += len(data)
        if self._size == size:
            self._finish()
        return self._size == size

    def _finish(self) -> None:
        if self._digest.hexdigest() != self._entry.sha256:
            raise WireError(f"the file {self._entry.sha256[:12]} arrived with another SHA-256; export the bundle again")
        with storage_errors(self._target):
            self._scratch.stream.flush()
            touch(self._scratch.path)
            try:
                self._scratch.place(self._target)
            except OSError:
                self._scratch.place(self._otherwise)

    def abort(self) -> None:
        """Forget a file that will not become whole; no effect on one that did."""
        self._scratch.discard()
