"""Microcontrollers that a board serves: how much memory each has for blocks, asked for where nobody uses its line."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.spec.firmware_profiles import EXACT, FAST
from edgebll.kernel.spec.plan_versions import VERSION
from edgebll.kernel.transport.serial_address import parse_port

_log = logging.getLogger(__name__)

#: How long one may take to answer, in seconds; an emulator has to start first.
_ASK_S = 1.0


class AttachedBoards:
    """The microcontrollers at some ports.

    Args:
        ports: of each.
    """

    def __init__(self, ports: Sequence[str]) -> None:
        self._memory = dict.fromkeys(ports, 0)
        self._profiles: dict[str, str] = {}
        self._plans: dict[str, int] = {}
        for port in ports:
            self._ask(port)

    def memory(self) -> dict[str, int]:
        """Port -> bytes for blocks, 0 where nobody has answered yet."""
        for port, known in self._memory.items():
            if not known:
                self._ask(port)
        return dict(self._memory)

    def profiles(self) -> dict[str, str]:
        """Port -> profile of those whose firmware is not "exact"; behind "fast" the board, for its bits are those of a kind."""
        return dict(self._profiles)

    def plans(self) -> dict[str, int]:
        """Port -> newest version of plans, of those that run more than plans of float32."""
        return dict(self._plans)

    def _ask(self, port: str) -> None:
        from edgebll_devices.microcontroller.link import MicrocontrollerLink

        link = MicrocontrollerLink(parse_port(port))
        try:
            report = link.greet(_ASK_S)
            self._memory[port] = report.pool_bytes
            if report.plan_version > VERSION:
                self._plans[port] = report.plan_version
            if report.profile != EXACT:
                self._profiles[port] = f"{FAST} {report.board}" if report.profile == FAST else report.profile
            _log.info("%s: %s with %d bytes for blocks", port, report.board, report.pool_bytes)
        except EdgebllError as error:
            _log.warning("%s", error)
        finally:
            link.close()
