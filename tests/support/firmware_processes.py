"""The firmware as a process of this machine, for tests: killed and started anew like a board that loses its power."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from edgebll_devices.microcontroller.emulators import Emulator
from edgebll_devices.microcontroller.firmware_boards import find_board
from edgebll_devices.microcontroller.firmware_build import FirmwareOptions


class FirmwareProcess:
    """A board behind a Unix socket at one path, whatever becomes of its process. A context manager.

    Args:
        path: of the socket.
        board: which.
        ram_kib: memory of its blocks.
        profile: of the firmware.
        int8: whether it runs plans that compute with integers.
        sparse: whether it is built for spikes.
    """

    def __init__(
        self,
        path: Path,
        board: str = "host",
        ram_kib: int | None = None,
        profile: str = "exact",
        *,
        int8: bool = False,
        sparse: bool = False,
    ) -> None:
        self.path, self._board = path, find_board(board)
        self._options = FirmwareOptions(ram_kib=ram_kib, profile=profile, int8=int8, sparse=sparse)
        self.address = f"unix://{path}"
        self._emulator = self._start()

    def _start(self) -> Emulator:
        return Emulator(self._board, ("unix", str(self.path)), self._options)

    def send(self, number: signal.Signals) -> None:
        """Send its process a signal."""
        os.kill(self._emulator.pid, number)

    def restart(self) -> None:
        """Take its power away, and give it back."""
        self.send(signal.SIGKILL)
        self._emulator.wait()
        self._emulator.close()
        self.path.unlink(missing_ok=True)
        self._emulator = self._start()

    def __enter__(self) -> FirmwareProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._emulator.close()
