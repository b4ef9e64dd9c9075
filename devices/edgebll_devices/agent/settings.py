"""How a board serves: what its command line says, for the agent."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.keys import KeyPair


@dataclass(frozen=True)
class Settings:
    """How a board serves.

    Attributes:
        listen: control address; port 0 takes a free one.
        data_listen: address where tokens arrive; port 0 takes a free one.
        data_announce: where others reach the data address; empty if it is the same.
        name: what the board calls itself.
        state_dir: folder of the file cache.
        keys: own key pair; needed off loopback.
        allowed: public keys of hosts that may use the board; needed off loopback.
        hosts_file: of paired hosts.
        once: end after one session.
        deadline_s: how long a silent host keeps the board.
        keep_snapshots: states of each block, at the newest snapshots, kept in the cache.
        keep_gib_per_day: how much of that is written in a day, 0 for no limit.
        serial_ports: of microcontrollers that host blocks for this board.
        leave_s: how long the board works on when it is to end, so that its host can move its blocks; 0 for not at all.
    """

    listen: str
    data_listen: str
    name: str
    state_dir: Path
    keys: KeyPair | None = None
    allowed: tuple[str, ...] = ()
    hosts_file: Path | None = None
    once: bool = False
    deadline_s: float = 10.0
    leave_s: float = 0.0
    data_announce: str = ""
    keep_snapshots: int = 2
    keep_gib_per_day: float = 10.0
    serial_ports: tuple[str, ...] = ()
