"""The next incarnation of a run, whose host waits while the worker still ends the step in progress of the last one."""

from __future__ import annotations

from edgebll.kernel.wire import Hello, Progress
from edgebll_devices.agent.endpoints import BoardEndpoints


class NextIncarnation:
    """Keeps the Hello of the latest incarnation that asked; others are forgotten."""

    def __init__(self) -> None:
        self._waiting: tuple[bytes, Hello] | None = None

    def put(self, peer: bytes, hello: Hello) -> None:
        """Let a host wait, unless a later incarnation waits already."""
        if self._waiting is None or self._waiting[1].incarnation <= hello.incarnation:
            self._waiting = peer, hello

    def take(self) -> tuple[bytes, Hello] | None:
        """Who waits, if anybody; nobody does afterwards."""
        waiting, self._waiting = self._waiting, None
        return waiting

    def comfort(self, endpoints: BoardEndpoints) -> None:
        """Tell the host that waits that the board lives, though it still computes for the last incarnation."""
        if self._waiting is None:
            return
        peer, hello = self._waiting
        text = "ends the step in progress of an earlier incarnation"
        endpoints.answer(peer, Progress(hello.run, text, incarnation=hello.incarnation))
