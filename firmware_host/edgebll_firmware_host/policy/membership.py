"""Which boards a run may use, and how that changes while it runs: boards come back, are added, are drained."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.inventory import BoardEntry, Cluster


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
        """Use a board from now on: a new one, or one that was drained; what the inventory pins to it and says of its
        speed stays so.

        Raises:
            ConfigError: another board has its address, or keys are missing on one side.
        """
        entry.check_keys(cluster.keys)
        known = next((board for board in self.of(cluster) if board.name == entry.name), entry)
        blocks = known.blocks if known is not entry else ()
        entry = replace(entry, blocks=blocks, profile=known.profile, power_mode=known.power_mode, speed=known.speed)
        others = [board for board in self.of(cluster) if board.name != entry.name]
        Cluster((*others, entry), cluster.host)  # refuses what occurs twice
        self.added[entry.name] = entry
        self.drained.discard(entry.name)
        self.unfit.discard(entry.name)
        self.left.discard(entry.name)
