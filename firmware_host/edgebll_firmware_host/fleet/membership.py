"""Which boards a run may use, and how that changes while it runs: boards come back, are added, are drained."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.kernel.keys import KeyPair
from edgebll_firmware_host.fleet.probe import probe
from edgebll_firmware_host.inventory import BoardEntry, Cluster

#: First and longest time between two looks for a board that is away; doubled each time it fails.
LOOK_S, LONGEST_S = 2.0, 60.0
_PROBE_S = 1.0


@dataclass
class Membership:
    """The boards of a run by name.

    Attributes:
        added: boards besides those of the inventory.
        drained: boards that must not be used.
        unfit: boards that said themselves that they cannot: used only if there are no others.
        left: boards that said that they end, and were not seen since.
    """

    added: dict[str, BoardEntry] = field(default_factory=dict)
    drained: set[str] = field(default_factory=set)
    unfit: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)

    def of(self, cluster: Cluster) -> tuple[BoardEntry, ...]:
        """The inventory's boards and those added, drained ones included."""
        return (*(board for board in cluster.boards if board.name not in self.added), *self.added.values())

    def usable(self, cluster: Cluster) -> list[BoardEntry]:
        """Boards that blocks may be placed on."""
        left = [board for board in self.of(cluster) if board.name not in self.drained]
        return [board for board in left if board.name not in self.unfit] or left

    def there(self, cluster: Cluster) -> list[BoardEntry]:
        """Usable boards that have not left."""
        there = [board for board in self.of(cluster) if board.name not in self.drained | self.left]
        return [board for board in there if board.name not in self.unfit] or there

    def drain(self, name: str, cluster: Cluster) -> None:
        """Use a board no more.

        Raises:
            ConfigError: there is no such board, or no other.
        """
        known = [board.name for board in self.of(cluster)]
        if name not in known:
            raise ConfigError(f"the run has no board {name!r}, only {', '.join(known)}")
        if not set(known) - self.drained - {name}:
            raise ConfigError(f"{name} is the last board of the run; add another one first")
        self.drained.add(name)

    def add(self, entry: BoardEntry, cluster: Cluster) -> None:
        """Use a board from now on: a new one, or one that was drained; blocks pinned to it in the inventory stay so.

        Raises:
            ConfigError: another board has its address, or keys are missing on one side.
        """
        entry.check_keys(cluster.keys)
        pinned = next((board.blocks for board in self.of(cluster) if board.name == entry.name), ())
        entry = replace(entry, blocks=pinned)
        others = [board for board in self.of(cluster) if board.name != entry.name]
        Cluster((*others, entry), cluster.host)  # refuses what occurs twice
        self.added[entry.name] = entry
        self.drained.discard(entry.name)
        self.unfit.discard(entry.name)
        self.left.discard(entry.name)


class Scout:
    """Looks for boards that are away, now and then, in a thread of its own. Close it when done.

    Args:
        keys: the host's, if encrypted.
    """

    def __init__(self, keys: KeyPair | None) -> None:
        self._keys = keys
        self._next_s: dict[str, float] = {}
        self._pause_s: dict[str, float] = {}
        self._found: set[str] = set()
        self._thread: threading.Thread | None = None

    def failed(self, name: str, now_s: float) -> None:
        """A board went away, again perhaps: look for it less and less often."""
        pause_s = min(LONGEST_S, 2 * self._pause_s.get(name, LOOK_S / 2))
        self._pause_s[name], self._next_s[name] = pause_s, now_s + pause_s
        self._found.discard(name)

    def left(self, name: str, now_s: float) -> None:
        """A board has ended in order: it may be back soon."""
        self._pause_s[name], self._next_s[name] = LOOK_S, now_s + LOOK_S
        self._found.discard(name)

    def found(self, away: Sequence[BoardEntry], now_s: float) -> Collection[str]:
        """Which of the boards that are away answer again; looks for one of them, if it is time."""
        due = [board for board in away if now_s >= self._next_s.setdefault(board.name, now_s + LOOK_S)]
        if due and (self._thread is None or not self._thread.is_alive()):
            self._next_s[due[0].name] = now_s + self._pause_s.get(due[0].name, LOOK_S)
            self._thread = threading.Thread(target=self._look, args=(due[0],), name="edgebll-scout", daemon=True)
            self._thread.start()
        return self._found & {board.name for board in away}

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
