"""What a board keeps from session to session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport import Receiver
from edgebll_devices.agent.link_check import LinkCheck
from edgebll_devices.agent.settings import Settings
from edgebll_devices.session.runtime_pool import RuntimePool
from edgebll_devices.storage.file_cache import FileCache
from edgebll_devices.storage.snapshot_cache import SnapshotCache
from edgebll_devices.storage.write_budget import disk_budget


@dataclass(frozen=True)
class BoardResources:
    """What outlives a session. Close it when done.

    Attributes:
        name: what the board calls itself.
        keys: its key pair; None only on loopback.
        cache: its files.
        receiver: its data socket.
        deadline_s: how long to wait for a peer.
        snapshot_cache: keeps states of snapshots.
        runtime_pool: loaded runtimes for the next incarnation.
        links: tries links.
        state_dir: its folder.
        serial_ports: of microcontrollers that host blocks for it.
    """

    name: str
    keys: KeyPair | None
    cache: FileCache
    receiver: Receiver
    deadline_s: float
    snapshot_cache: SnapshotCache
    runtime_pool: RuntimePool
    links: LinkCheck
    state_dir: Path
    serial_ports: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings, cache: FileCache, receiver: Receiver) -> BoardResources:
        """Those of a board that serves with some settings, none of them in use yet."""
        return cls(
            name=settings.name,
            keys=settings.keys,
            cache=cache,
            receiver=receiver,
            deadline_s=settings.deadline_s,
            snapshot_cache=SnapshotCache(cache, settings.keep_snapshots, disk_budget(settings.keep_gib_per_day)),
            runtime_pool=RuntimePool(),
            links=LinkCheck(settings.keys),
            state_dir=settings.state_dir,
            serial_ports=settings.serial_ports,
        )

    def close(self) -> None:
        """End what works on snapshots, and free the runtimes that nobody took up."""
        self.snapshot_cache.close()
        self.runtime_pool.close()
