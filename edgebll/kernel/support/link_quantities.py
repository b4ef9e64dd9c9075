"""Speeds and delays of links as people write them: 5Mbit, 100 MB, 20ms, and both together as 5Mbit/20ms."""

from __future__ import annotations

import re

from edgebll.kernel.support.bounds import WrongValue

_UNITS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SPEED = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([kKMG]?)(?:(bit|bit/s|bps)|B|B/s)")
_TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,6})?)\s*(s|ms|us)", re.IGNORECASE)


def bytes_per_second(name: str, text: str) -> float:
    """A link's speed in bytes a second.

    Args:
        name: of the option or entry.
        text: a number and a unit: bit, kbit, Mbit or Gbit by the second; for bytes B, kB, MB or GB.

    Raises:
        WrongValue: it is no speed, or 0.

    Examples:
        >>> from edgebll.kernel.support.link_quantities import bytes_per_second
        >>> bytes_per_second("bandwidth", "5Mbit"), bytes_per_second("bandwidth", "1.5 MB/s")
        (625000.0, 1500000.0)
    """
    found = _SPEED.fullmatch(text.strip())
    if found is None or not float(found[1]):
        raise WrongValue(name, f"must be a speed such as 5Mbit or 100MB, not {text!r}")
    count = float(found[1]) * _UNITS[found[2].lower()]
    return count / 8 if found[3] else count


def seconds(name: str, text: str) -> float:
    """A delay in seconds.

    Args:
        name: of the option or entry.
        text: a number and a unit: s, ms or us.

    Raises:
        WrongValue: it is no delay.

    Examples:
        >>> from edgebll.kernel.support.link_quantities import seconds
        >>> seconds("latency", "20ms")
        0.02
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise WrongValue(name, f"must be a time such as 20ms or 0.5s, not {text!r}")
    return float(found[1]) * _TIMES[found[2].lower()]


def speed_and_delay(name: str, text: str) -> tuple[float, float]:
    """Bytes a second and seconds of a link.

    Args:
        name: of the option.
        text: SPEED/DELAY, as `bytes_per_second` and `seconds` take them, or a speed alone.

    Raises:
        WrongValue: one of them is none.

    Examples:
        >>> from edgebll.kernel.support.link_quantities import speed_and_delay
        >>> speed_and_delay("link", "5Mbit/20ms")
        (625000.0, 0.02)
    """
    speed, slash, delay = text.rpartition("/")
    if slash and delay.strip().lower() != "s":
        return bytes_per_second(name, speed), seconds(name, delay)
    return bytes_per_second(name, text), 0.0
