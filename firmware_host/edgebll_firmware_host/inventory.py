"""The boards of a cluster, as cluster.toml lists them.

[host]
key = "host.key"                      # the host's key file; needed off loopback
window = 8                            # tokens in flight
deadline_s = 10.0                     # silence after which a board counts as lost
patience_s = 300.0                    # without any progress so long, a run that recovers again and again gives up; 0: at once

[[board]]
name = "orin-1"
endpoint = "tcp://192.168.0.11:7101"
public_key = "..."                    # the board's public key; needed off loopback
blocks = ["block0", "block1"]         # optional: pins these blocks to the board
threads = 4
runtime = "onnxruntime"
memory_mib = 4000                     # optional: memory for its blocks, if it knows wrongly itself; 0: not checked
port = "/dev/ttyACM0"                 # optional: of the microcontroller, for runtime = "serial", if the board serves several
cap_threads = true                    # optional: false insists on `threads`, also where the board has fewer processors
profile = "orin-nano"                 # optional: kind of board, of `edgebll-board profile`, for placement and prediction
power_mode = "25W"                    # optional: of that profile; by default its fastest
speed = 0.5                           # optional: times as fast as its profile says, or as a board of which nothing is said

[[link]]                              # optional: what is known of the link between two machines; others are taken as quick
between = ["orin-1", "orin-2"]        # boards or "host"; "*" for the second is any other machine
bandwidth = "100Mbit"
latency = "2ms"
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace
from pathlib import Path

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.keys import KeyPair, check_public_key, load_key_pair
from edgebll.kernel.spec.board_speeds import speeds_of
from edgebll.kernel.spec.runtime_names import SERIAL, check_runtime
from edgebll.kernel.support import bounds
from edgebll.kernel.support.plain_dataclasses import short
from edgebll.kernel.support.toml_files import read_toml
from edgebll.kernel.transport import check_address, check_security
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_firmware_host.link_entry import LinkEntry, check_links
from edgebll_firmware_host.policy.calibration import Calibration, calibration_beside

_MAX_NAME_CHARS = 63


@dataclass(frozen=True)
class BoardEntry:
    """A board: its name, where it listens (tcp://HOST:PORT), its public key (Z85), pinned blocks, threads and runtime.

    With `cap_threads` it uses no more threads than it has processors. `memory_mib` is what its blocks may take, 0 for no check;
    None leaves it to the board to say so. `port` is the microcontroller's, of those that the board serves; empty for the first.
    `profile` and `power_mode` name what kind of board it is, `speed` how fast it is beside that, see `policy.cost_model`.

    Raises:
        ConfigError: something of it is wrong whatever the host, e.g. no public key off loopback.

    Examples:
        >>> from edgebll_firmware_host.inventory import BoardEntry
        >>> BoardEntry("orin-1", "tcp://127.0.0.1:7101", threads=4).runtime
        'onnxruntime'
    """

    name: str
    endpoint: str
    public_key: str | None = None
    blocks: tuple[str, ...] = ()
    threads: int = 1
    runtime: str = "onnxruntime"
    cap_threads: bool = True
    memory_mib: int | None = None
    port: str = ""
    profile: str = ""
    power_mode: str = ""
    speed: float = 1.0

    def __post_init__(self) -> None:
        check_board_name(self.name)
        try:
            bounds.THREADS.check("threads", self.threads)
            if self.memory_mib is not None:
                bounds.MEMORY_MIB.check("memory_mib", self.memory_mib)
            check_address(self.endpoint)
            check_runtime(self.runtime)
            self._check_port()
            self._check_speed()
            if self.public_key is None:
                check_security(self.endpoint, None)
            else:
                check_public_key(self.public_key)
        except ConfigError as error:
            raise ConfigError(f"board {self.name}: {error}") from error

    def _check_port(self) -> None:
        if self.port and self.runtime != SERIAL:
            raise ConfigError(f'port = "{self.port}" is for runtime = "{SERIAL}", not for {self.runtime!r}; change one of them')
        if self.port:
            parse_port(self.port)

    def _check_speed(self) -> None:
        bounds.SPEED.check("speed", self.speed)
        if self.profile:
            speeds = speeds_of(self.profile)
            speeds.rate_of(self.runtime)
            speeds.in_mode(self.power_mode)
        elif self.power_mode:
            raise ConfigError(f"power_mode = {short(self.power_mode)} is of a profile; give profile too")

    def check_keys(self, keys: KeyPair | None) -> None:
        """Refuse a board for a host with these keys.

        Raises:
            ConfigError: one side has a key and the other has none.
        """
        if (keys is None) != (self.public_key is None):
            has = "no public_key, but the host has a key" if keys is not None else "a public_key, but the host has no key"
            raise ConfigError(f"board {self.name} has {has}; give both or neither")


def check_board_name(name: str) -> None:
    """Refuse what cannot name a board in tables, messages and commands.

    Raises:
        ConfigError: it is empty or too long, or has other characters than letters (of any script), digits and "._-".
    """
    whole = all(char in "._-" or unicodedata.category(char)[0] in "LMN" for char in name)
    if not whole or not 1 <= len(name) <= _MAX_NAME_CHARS or name.startswith("-"):
        raise ConfigError(
            f"a board's name must be 1 to {_MAX_NAME_CHARS} letters, digits, dots, dashes and underscores, and not begin "
            f"with a dash, but is {short(name)}"
        )


@dataclass(frozen=True)
class HostEntry:
    """The host.

    Attributes:
        key: its key file.
        window: tokens in flight.
        deadline_s: silence after which a board counts as lost.
        patience_s: how long a run may recover from failures without any progress; 0 gives up at the first failure.
    """

    key: str | None = None
    window: int = 8
    deadline_s: float = 10.0
    patience_s: float = 300.0

    def __post_init__(self) -> None:
        bounds.WINDOW.check("window", self.window)
        bounds.DEADLINE.check("deadline_s", self.deadline_s)
        bounds.PATIENCE.check("patience_s", self.patience_s)


@dataclass(frozen=True)
class Cluster:
    """All boards and the host's settings; `keys` is the loaded key pair, or None on loopback; `links` what is told of links,
    `calibration` what was measured, None for nothing.

    Raises:
        ConfigError: no boards, names or endpoints that occur twice, a link that does so, or one of a board that is not there.
    """

    boards: tuple[BoardEntry, ...]
    host: HostEntry = field(default_factory=HostEntry)
    keys: KeyPair | None = None
    links: tuple[LinkEntry, ...] = ()
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        check_links(self.links, self.names)
        if not self.boards:
            raise ConfigError("a cluster needs at least one [[board]]")
        for what, values in (("name", [b.name for b in self.boards]), ("endpoint", [b.endpoint for b in self.boards])):
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ConfigError(f"two boards have the {what} {twice[0]!r}; give each its own")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the boards, in order."""
        return tuple(board.name for board in self.boards)

    def with_window(self, window: int | None) -> Cluster:
        """The same cluster with another window; None changes nothing."""
        return self if window is None else replace(self, host=replace(self.host, window=window))


@dataclass(frozen=True)
class _File:
    board: tuple[BoardEntry, ...] = ()
    host: HostEntry = field(default_factory=HostEntry)
    link: tuple[LinkEntry, ...] = ()


def load_cluster(path: Path | str) -> Cluster:
    r"""Read cluster.toml, and calibration.toml beside it if there is one; a relative key path is relative to the file.

    Raises:
        ConfigError: missing file, not TOML, an unknown or wrong entry, a value out of range, keys missing on one side.

    Examples:
        >>> import pathlib, tempfile
        >>> from edgebll_firmware_host.inventory import load_cluster
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "cluster.toml"
        ...     _ = path.write_text('[[board]]\nname = "one"\nendpoint = "tcp://127.0.0.1:7101"\n')
        ...     [board.name for board in load_cluster(path).boards]
        ['one']
    """
    file = Path(path)
    parsed = read_toml(_File, file, "give the cluster's file with --cluster")
    keys = load_key_pair(file.parent / parsed.host.key) if parsed.host.key is not None else None
    for board in parsed.board:
        board.check_keys(keys)
    return Cluster(parsed.board, parsed.host, keys, parsed.link, calibration_beside(file))
