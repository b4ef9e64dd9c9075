"""Looks for boards that are away, whether they answer again."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.keys import KeyPair
from edgebll_firmware_host.fleet.probe import probe
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.policy.look_schedule import LookSchedule

_PROBE_S = 1.0


class Scout:
    """Looks for boards that are away, now and then, in a thread of its own. Close it when done.

    Args:
        keys: the host's, if encrypted.
    """

    def __init__(self, keys: KeyPair | None) -> None:
        self._keys, self._schedule = keys, LookSchedule()
        self._found: set[str] = set()
        self._thread: threading.Thread | None = None

    def failed(self, name: str, now_s: float) -> None:
        """A board went away, again perhaps: look for it less and less often."""
        self._schedule.failed(name, now_s)
        self._found.discard(name)

    def left(self, name: str, now_s: float) -> None:
        """A board has ended in order: it may be back soon."""
        self._schedule.left(name, now_s)
        self._found.discard(name)

    def found(self, away: Sequence[BoardEntry], now_s: float) -> Collection[str]:
        """Which of the boards that are away answer again; looks for one of them, if it is time."""
        entries = {board.name: board for board in away}
        due = self._schedule.due(tuple(entries), now_s)
        if due is not None and (self._thread is None or not self._thread.is_alive()):
            self._schedule.looked(due, now_s)
            self._thread = threading.Thread(target=self._look, args=(entries[due],), name="edgebll-scout", daemon=True)
            self._thread.start()
        return self._found & entries.keys()

    def _look(self, entry: BoardEntry) -> None:
        try:
            probe(entry, self._keys, _PROBE_S)
        except EdgebllError:
            return  # still away
        self._found.add(entry.name)

    def close(self) -> None:
        """Wait for the look in progress, which ends soon."""
        if self._thread is not None:
            self._thread.join()
