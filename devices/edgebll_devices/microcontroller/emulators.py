"""Emulated microcontrollers: QEMU, or the firmware as a process of this machine; they end with the one that started them."""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from edgebll.kernel.errors import BoardError, ConfigError, MissingExtraError
from edgebll.kernel.spec.emulated_boards import QEMU, QEMU_PACKAGE
from edgebll.kernel.support.readiness import await_readable
from edgebll_devices.microcontroller.firmware_boards import NamedBoard, find_board
from edgebll_devices.microcontroller.firmware_build import FirmwareOptions, cached

_START_S = 10.0
_SAID_CHARS = 300
#: Says the emulator's process id, then what it says; ends it once nobody holds the other end of the standard input, so that
#: none is left however this process ends; and ends with it.
_KEEPER = (
    'exec 3<&0; sh -c \'echo $$; exec "$@"\' sh "$@" </dev/null 3<&- & child=$!; '
    "{ cat <&3 >/dev/null 2>&1; kill -9 $child; } >/dev/null 2>&1 & wait $child; kill $! 2>/dev/null; exit 1"
)


class Emulator:
    """A running emulator, whose serial line is a Unix socket or a pseudo terminal. Close it when done.

    Args:
        board: what is emulated.
        line: the words that say where its line is: ("unix", PATH), ("pty",) or ("tcp", PORT).
        options: how the firmware is built.

    Attributes:
        pid: of its process.
        address: of its line, as `parse_port` reads it.

    Raises:
        MissingExtraError: emulator or compiler are not installed. ConfigError: there is no emulator of that board.
        BoardError: it does not start.
    """

    def __init__(self, board: NamedBoard, line: Sequence[str], options: FirmwareOptions | None = None) -> None:
        options = options or FirmwareOptions()
        command = _command(board, cached(board, options), line, options)
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process to handle
        )
        self._said = b""
        try:
            self.pid = int(self._line())
            self.address = self._address(board, line)
        except BaseException:
            self.close()
            raise

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def _address(self, board: NamedBoard, line: Sequence[str]) -> str:
        """Where its line is, once it is there: a process of ours says so, and QEMU of a pseudo terminal alone."""
        if board.board.cross and line[0] == "tcp":
            return f"socket://127.0.0.1:{line[1]}"
        if board.board.cross and line[0] == "unix":
            self._await(Path(line[1]), board)
            return f"unix://{line[1]}"
        said = self._line()
        words = [word for word in said.split() if word.startswith(("/dev/", "socket://", "unix://"))]
        if not words:
            raise BoardError(f"the emulator of {board.name} did not start: {said}")
        return words[0]

    def _await(self, path: Path, board: NamedBoard) -> None:
        until_s = time.monotonic() + _START_S
        while not path.exists():
            if not self.alive or time.monotonic() > until_s:
                raise BoardError(f"the emulator of {board.name} did not start: {self._rest()}")
            time.sleep(0.005)

    def _line(self) -> str:
        """One line of what it says."""
        until_s, stream = time.monotonic() + _START_S, self._process.stdout
        while b"\n" not in self._said and stream is not None:
            ready = await_readable(stream, until_s - time.monotonic())
            piece = os.read(stream.fileno(), 4096) if ready else b""
            if not piece:
                raise BoardError(f"an emulator did not start: {self._rest()}")
            self._said += piece
        line, _, self._said = self._said.partition(b"\n")
        return line.decode("utf-8", "replace").strip()

    def _rest(self) -> str:
        return " ".join(self._said.decode("utf-8", "replace").split())[-_SAID_CHARS:] or "it said nothing"

    def wait(self) -> None:
        """Return once it has ended."""
        self._process.wait()

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(_START_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _command(board: NamedBoard, firmware: Path, line: Sequence[str], options: FirmwareOptions) -> list[str]:
    if not board.board.cross:
        pool = (options.ram_kib or board.board.ram_kib) << 10
        return [str(firmware), *line, str(pool)]
    if not board.board.emulator:
        raise ConfigError(f"there is no emulator of {board.name}; flash a real one, and give its port")
    qemu = shutil.which(QEMU)
    if qemu is None:
        raise MissingExtraError(f"emulating {board.name} needs {QEMU}; install it: sudo apt-get install {QEMU_PACKAGE}")
    places = {
        "pty": "pty",
        "unix": f"unix:{line[-1]},server=on,wait=off",
        "tcp": f"tcp:127.0.0.1:{line[-1]},server=on,wait=off,nodelay=on",
    }
    where = ["-serial", places[line[0]]]
    return [qemu, "-M", board.board.emulator, "-nographic", "-monitor", "none", "-kernel", str(firmware), *where]


#: Nobody flashes what is emulated beforehand, so it runs whatever plans a bundle has, and knows spikes.
_ANY_PLAN = FirmwareOptions(int8=True, sparse=True)


class Emulators:
    """The emulators of this process by name: one more is started when it is first asked for, and one that ended anew."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, Emulator] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def running(self, name: str) -> Path:
        """The Unix socket of an emulator's line.

        Args:
            name: of a board, or of one more of its kind: "mps2-an386#1".

        Raises:
            EdgebllError: as `Emulator`.
        """
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="edgebll-emulators-")
                atexit.register(self.close)
            path = Path(self._folder.name) / name.replace("#", "-")
            known = self._running.get(name)
            if known is None or not known.alive:
                if known is not None:
                    known.close()
                path.unlink(missing_ok=True)
                self._running[name] = Emulator(find_board(name.partition("#")[0]), ("unix", str(path)), _ANY_PLAN)
            return path

    def process_ids(self) -> dict[str, int]:
        """Process id of each that runs, by name."""
        with self._lock:
            return {name: each.pid for name, each in self._running.items() if each.alive}

    def close(self) -> None:
        """End all."""
        with self._lock:
            for each in self._running.values():
                each.close()
            self._running.clear()
            if self._folder is not None:
                self._folder.cleanup()
                self._folder = None


#: Of this process.
emulators = Emulators()
