"""Where a microcontroller is plugged in, as people write it: a device and a speed, a socket, or an emulator to start."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from edgebll.kernel.errors import ConfigError

DEFAULT_BAUD, MAX_BAUD = 115200, 2_000_000
_FORMS = "/dev/ttyACM0, /dev/ttyUSB0@921600, socket://HOST:PORT, unix:///PATH or emulator://BOARD"
_MAX_CHARS = 200


class PortAddress(NamedTuple):
    """A port.

    Attributes:
        kind: "device", "socket", "unix" or "emulator".
        place: path of the device or socket, HOST:PORT, or name of the board.
        baud: bits a second; of a device alone.
    """

    kind: str
    place: str
    baud: int = DEFAULT_BAUD

    def __str__(self) -> str:
        if self.kind == "device":
            return self.place if self.baud == DEFAULT_BAUD else f"{self.place}@{self.baud}"
        return f"{self.kind}://{self.place}"


def parse_port(text: str) -> PortAddress:
    """Read an address.

    Args:
        text: as in cluster.toml or behind --serial.

    Raises:
        ConfigError: it is none, or the speed is out of range.

    Examples:
        >>> from edgebll.kernel.transport.serial_address import parse_port
        >>> parse_port("/dev/ttyUSB0@921600")
        PortAddress(kind='device', place='/dev/ttyUSB0', baud=921600)
    """
    kind, separator, place = text.partition("://")
    if not text.isprintable() or len(text) > _MAX_CHARS:
        raise ConfigError(f"a port must be like {_FORMS}, at most {_MAX_CHARS} characters, not {text[:40]!r}")
    if not separator:
        return _device(text)
    sound = {
        "socket": re.fullmatch(r"[^:/\s]+:\d{1,5}", place) and 0 < int(place.rpartition(":")[2]) < 65536,
        "unix": place.startswith("/"),
        "emulator": re.fullmatch(r"[a-z0-9][a-z0-9-]*(#\d+)?", place),
    }
    if not sound.get(kind):
        raise ConfigError(f"a port must be like {_FORMS}, not {text!r}")
    return PortAddress(kind, place)


def _device(text: str) -> PortAddress:
    path, _, speed = text.partition("@")
    if not os.path.isabs(path):
        raise ConfigError(f"a port must be like {_FORMS}, not {text!r}")
    if speed and not (speed.isdecimal() and 0 < int(speed) <= MAX_BAUD):
        raise ConfigError(f"the speed of {path} must be a whole number of bits a second, at most {MAX_BAUD}, not {speed!r}")
    return PortAddress("device", path, int(speed) if speed else DEFAULT_BAUD)
