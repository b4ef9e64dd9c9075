"""Keeps what a board's own blocks gave at the newest snapshots on its disk, so that no host needs to send it back.

What is written is byte for byte the file the host writes for its snapshot, so it has the same SHA-256: the board does not want
what it has, and nobody needs to be told what is kept. A state that was written too late, or not at all, is sent as before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from edgebll.kernel.errors import StorageError
from edgebll.kernel.state.block_state import pack_tensors
from edgebll.kernel.wire import State
from edgebll_devices.storage.file_cache import FileCache
from edgebll_devices.storage.write_budget import WriteBudget

_log = logging.getLogger(__name__)


class SnapshotCache:
    """Writes states in a thread of its own, which starts with the first one. Close it when done.

    At most one state of a block waits: a newer one takes its place. So a disk that is slower than the snapshots come keeps
    fewer of them, and holds up nothing.

    Args:
        cache: where to keep them.
        depth: how many of each block; 0 keeps none.
        budget: how much may be written.
    """

    def __init__(self, cache: FileCache, depth: int, budget: WriteBudget) -> None:
        self._cache, self._depth, self._budget = cache, depth, budget
        self._changed = threading.Condition()
        self._waiting: dict[str, State] = {}  # by block
        self._session = 0
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None
        self._told_of = ""  # run whose log says that states are not kept

    def keep(self, message: State) -> None:
        """Have a block's state at a SNAPSHOT written soon; its tensors may not be changed any more."""
        if self._depth < 1:
            return
        with self._changed:
            self._waiting[message.block] = message
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._work, name="edgebll-states", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def forget(self) -> None:
        """A session is over: drop what waits, and remove nothing any more that the next session may be about to load."""
        with self._changed:
            self._waiting.clear()
            self._session += 1

    def tidy(self, run: str, names: Iterable[str]) -> None:
        """Remove earlier ones of these files of a run's snapshots, once those to start from are loaded."""
        for name in names:
            self._cache.states.trim(run, name, max(1, self._depth))

    def settle(self, timeout_s: float) -> bool:
        """Wait until nothing waits or is being written; whether that came about in time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, timeout_s)

    def close(self) -> None:
        """Drop what waits and let the thread end after the file in progress."""
        with self._changed:
            self._waiting.clear()
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                message = self._waiting.pop(next(iter(self._waiting)))
                self._busy, session = True, self._session
            try:
                self._write(message, session)
            except Exception as error:
                self._tell(message.run, error)

    def _write(self, message: State, session: int) -> None:
        for name, tensors in message.files.items():
            self._write_file(message.run, name, pack_tensors(tensors), session)

    def _write_file(self, run: str, name: str, content: bytes, session: int) -> None:
        if not self._budget.take(len(content), time.monotonic()):
            raise StorageError("enough was written for now to a disk that wears out (--keep-gib-per-day)")
        try:
            self._cache.keep(run, name, content)
        except StorageError:
            if not self._trim(run, name, self._depth - 1, session):
                raise
            self._cache.keep(run, name, content)  # an earlier one has made room
        self._trim(run, name, self._depth, session)

    def _trim(self, run: str, name: str, keep: int, session: int) -> bool:
        """Remove earlier ones, unless the session is over; whether any went."""
        with self._changed:
            return session == self._session and self._cache.states.trim(run, name, keep) > 0

    def _tell(self, run: str, error: Exception) -> None:
        if self._told_of != run:
            self._told_of = run
            _log.warning("run %s: states of its snapshots are not kept here; a recovery sends them: %s", run, error)
