"""Telling systemd, or another service manager that speaks sd_notify(3), how the agent fares.

One datagram a message to the socket that the environment names. Without one, nothing is told and nothing is lost. The packages
that do this are no shorter than this file, or need a compiler and libsystemd on the board.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping

from edgebll.kernel.support.whole_numbers import whole_number

_log = logging.getLogger(__name__)

#: A manager whose queue is full is waited for so long at most; it must not stop the agent.
_SEND_S = 0.5
_MAX_CHARS = 200


class ServiceManager:
    """Whoever started this process as a service, if anybody did. Close it when done.

    Args:
        environment: where NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID are looked up; this process's unless given.

    Attributes:
        period_s: how often `alive` should be called at least, in seconds; None where nobody watches.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        given = os.environ if environment is None else environment
        self._address = _address(given.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.settimeout(_SEND_S)
        watchdog_s = _watchdog_s(given) if self._address else None
        self._half_s = watchdog_s / 2 if watchdog_s is not None else float("inf")
        self.period_s = watchdog_s / 8 if watchdog_s is not None else None
        self._told_s = float("-inf")
        self._failed = False

    def ready(self, status: str) -> None:
        """The service can be used from now on."""
        self._tell(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> None:
        """What the service does now, for `systemctl status`; cut to a short line."""
        self._tell(f"STATUS={_line(text)}")

    def stopping(self, status: str) -> None:
        """The service is about to end."""
        self._tell(f"STOPPING=1\nSTATUS={_line(status)}")

    def alive(self, now_s: float) -> None:
        """To be called from the loop that is watched, whenever it turns; tells so twice in the time the manager allows."""
        if now_s - self._told_s >= self._half_s:
            self._told_s = now_s
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendto(text.encode("utf-8", "replace"), self._address)
        except OSError as error:
            if not self._failed:
                _log.warning("the service manager cannot be told: %s", error)
            self._failed = True

    def close(self) -> None:
        """Free the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _address(given: str) -> str:
    """A path, or a name of Linux's abstract socket addresses, which are written with an @; empty for others."""
    if given.startswith("@"):
        return "\0" + given[1:]
    return given if given.startswith("/") else ""


def _watchdog_s(given: Mapping[str, str]) -> float | None:
    """Seconds after which the manager takes silence for a hang; None if it does not watch this process."""
    if given.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = whole_number(given.get("WATCHDOG_USEC", ""))
    return microseconds / 1e6 if microseconds else None


def _line(text: str) -> str:
    """Text of others, such as the name of a run, as one line: a second one would be a message of its own."""
    return "".join(char if char.isprintable() else "?" for char in text)[:_MAX_CHARS]
