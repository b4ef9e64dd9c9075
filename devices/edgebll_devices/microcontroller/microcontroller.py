"""A microcontroller as the blocks of this process share it: one line, one memory, one at a time."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Sequence

from edgebll.kernel.errors import BoardError, LinkError
from edgebll.kernel.spec.plan_versions import INT8_VERSION, VERSION
from edgebll.kernel.transport.serial_address import PortAddress
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.link import AWAITED_S, MicrocontrollerLink
from edgebll_devices.microcontroller.pool_layout import MemoryNeed, PlacedBlock, PoolLayout
from edgebll_devices.microcontroller.replies import BoardReport
from edgebll_devices.microcontroller.requests import BoardRequest, Span

_log = logging.getLogger(__name__)

_NO_PLANS = ((Span(0, 0), b""),) * requests.PLANS


class Microcontroller:
    """One board behind one port; threads of this process may share it. `microcontroller_at` makes it.

    Args:
        address: of its port.

    Attributes:
        lives: how often its blocks were lost, or its line was found dead; a block that was set up in an earlier life is gone.
    """

    def __init__(self, address: PortAddress) -> None:
        self._link, self._lock = MicrocontrollerLink(address), threading.RLock()
        self._layout: PoolLayout | None = None
        self.lives = 0

    @property
    def report(self) -> BoardReport | None:
        """What it said of itself last; None before it was greeted."""
        return self._link.report

    def ready(self, check: Callable[[], None], wait_s: float = AWAITED_S) -> BoardReport:
        """Greet it, waiting for it if need be, and find out whether its blocks are still there.

        Args:
            check: called now and then; may raise to end the waiting.
            wait_s: how long to wait.

        Raises:
            LinkError: nobody answers there. BoardError: its firmware runs no plans, or other ones.
        """
        with self._lock:
            before = self._link.boot
            try:
                report = self._link.greet(wait_s, check)
            except LinkError:
                self._lose()
                raise
            check_firmware(report, str(self._link.address))
            if self._layout is None or report.boot != before:
                self._begin(report)
            return report

    def _begin(self, report: BoardReport) -> None:
        """Another life: blocks of this process are gone, and those of another process are in the way."""
        self.lives += 1
        self._layout = PoolLayout(report.pool_bytes)
        left = [number for number, slot in enumerate(report.slots) if slot.in_use]
        self._link.exchange([_free(number) for number in left])

    def place(self, name: str, need: MemoryNeed) -> PlacedBlock:
        """Find room for a block.

        Args:
            name: of the block, for messages.
            need: what it takes.

        Raises:
            BoardError: there is none.
        """
        with self._lock:
            if self._layout is None:
                raise BoardError(f"{name} cannot be placed on a microcontroller that was not greeted")
            return self._layout.place(name, need)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Several exchanges without another block's in between."""
        with self._lock:
            yield

    def exchange(self, wanted: Sequence[BoardRequest]) -> list[bytes]:
        """Carry requests without another block's in between.

        Args:
            wanted: as for `MicrocontrollerLink.exchange`.

        Raises:
            LinkError: the line is gone, or the microcontroller was restarted. BoardError: it refused something.
        """
        with self._lock:
            try:
                return self._link.exchange(wanted)
            except LinkError:
                self._lose()
                raise

    def _lose(self) -> None:
        """What is left over there fits nobody's idea any more: whoever comes next begins anew."""
        self.lives += 1
        self._layout = None
        self._link.close()

    def release(self, placed: PlacedBlock, life: int) -> None:
        """Take a block away, if it is still there.

        Args:
            placed: where it is.
            life: the one it was set up in.
        """
        with self._lock:
            if life != self.lives or self._layout is None:
                return
            self._layout.free(placed.slot)
            try:
                self.exchange([_free(placed.slot)])
            except (LinkError, BoardError) as error:
                _log.info("%s: a block could not be taken away: %s", self._link.address, error)

    def close(self) -> None:
        """Give the port back."""
        with self._lock:
            self._link.close()
            self._layout = None


def check_firmware(report: BoardReport, port: str) -> None:
    """Refuse a board whose firmware runs other plans than are made here. It tells the newest version, and runs those before it.

    Args:
        report: what it said of itself.
        port: where it is, for the message.

    Raises:
        BoardError: it does.
    """
    if not VERSION <= report.plan_version <= INT8_VERSION:
        raise BoardError(
            f"the firmware at {port} runs plans up to version {report.plan_version}, this edgebll makes versions {VERSION} to "
            f"{INT8_VERSION}; build and flash it again: edgebll firmware build"
        )


def _free(slot: int) -> BoardRequest:
    return requests.set_up(slot, bytes(requests.HASH_BYTES), 0, Span(0, 0), Span(0, 0), _NO_PLANS)


class _Shared:
    """Microcontrollers that are in use, by address."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[PortAddress, tuple[Microcontroller, int]] = {}

    @contextlib.contextmanager
    def at(self, address: PortAddress) -> Iterator[Microcontroller]:
        """One, for as long as the context; its port is given back with the last."""
        with self._lock:
            board, users = self._used.get(address, (Microcontroller(address), 0))
            self._used[address] = board, users + 1
        try:
            yield board
        finally:
            with self._lock:
                board, users = self._used.pop(address)
                if users > 1:
                    self._used[address] = board, users - 1
            if users == 1:
                board.close()


#: Of this process.
microcontroller_at = _Shared().at
