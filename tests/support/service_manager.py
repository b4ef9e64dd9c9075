"""A service manager reduced to its socket, for tests of what an agent tells it."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path


class FakeManager:
    """What was told is in `told`, as (monotonic time, assignments); `address` is for NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.told: list[tuple[float, dict[str, str]]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def wait(self, key: str, value: str = "", limit_s: float = 20.0) -> float:
        """Take what is told until `key` comes with `value` in it; returns when."""
        deadline = time.monotonic() + limit_s
        while (left_s := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            with contextlib.suppress(TimeoutError):
                found = self._take()
                if value in found.get(key, "\n"):
                    return self.told[-1][0]
        raise AssertionError(f"no {key}={value} within {limit_s} s, only {self.told}")

    def drain(self) -> None:
        """Take all that was told so far."""
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self._take()

    def _take(self) -> dict[str, str]:
        lines = self._socket.recv(1 << 16).decode().split("\n")
        self.told.append((time.monotonic(), dict(line.split("=", 1) for line in lines)))
        return self.told[-1][1]

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def fake_manager(folder: Path, address: str = "") -> Iterator[FakeManager]:
    """One that listens in `folder`, or at the address."""
    manager = FakeManager(address or str(folder / "notify"))
    try:
        yield manager
    finally:
        manager.close()
