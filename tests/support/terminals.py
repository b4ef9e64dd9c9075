"""Real pseudo-terminals: commands that have one, and users who stop it, come back to it, or close its window."""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

EDGEBLL = "from edgebll.cli import main; main()"
BOARD = "from edgebll_devices.commands.main import main; main()"
PATIENCE_S = 60.0
_CTRL_S, _CTRL_Q = b"\x13", b"\x11"


class Terminal:
    """A window, of which a command has the other side as its controlling terminal; closed at the end of a `with`."""

    def __init__(self) -> None:
        self._window, self.inside = os.openpty()
        self._open = True

    def start(
        self, program: str, *arguments: object, deaf: bool = False, stdout: IO[str] | None = None, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Run a program of Python there; `deaf`: as nohup does it. `stdout`: goes elsewhere."""

        def take_over() -> None:
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
            if deaf:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)

        return subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)],
            stdin=self.inside,
            stdout=stdout or self.inside,
            stderr=self.inside,
            start_new_session=True,
            preexec_fn=take_over,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm", **environment},
        )

    def stop(self) -> None:
        """Ctrl-S; returns when the terminal takes nothing more."""
        os.write(self._window, _CTRL_S)
        deadline = time.monotonic() + PATIENCE_S
        while select.select([], [self.inside], [], 0.0)[1]:
            assert time.monotonic() < deadline, "Ctrl-S does nothing"
            os.sched_yield()

    def go_on(self) -> None:
        """Ctrl-Q."""
        os.write(self._window, _CTRL_Q)

    def read_until(self, done: Callable[[bytes], bool]) -> bytes:
        """Read what is shown until it is enough."""
        shown, deadline = b"", time.monotonic() + PATIENCE_S
        while not done(shown):
            assert time.monotonic() < deadline, shown[-1000:]
            if select.select([self._window], [], [], 0.05)[0]:
                shown += os.read(self._window, 1 << 16)
        return shown

    def close(self) -> None:
        """Close the window: whoever works there is sent SIGHUP."""
        if self._open:
            self._open = False
            os.close(self.inside)
            os.close(self._window)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@contextlib.contextmanager
def full_pipe() -> Iterator[tuple[int, int]]:
    """The ends to read from and to write to of a pipe that takes nothing more."""
    reader, writer = os.pipe()
    try:
        os.set_blocking(writer, False)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"." * 4095 + b"\n")
        os.set_blocking(writer, True)
        yield reader, writer
    finally:
        os.close(reader)
        os.close(writer)


def await_file(path: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process has written a file."""
    deadline = time.monotonic() + PATIENCE_S
    while not path.exists():
        assert process.poll() is None, f"it ended with exit code {process.returncode}"
        assert time.monotonic() < deadline, f"there is no {path}"
        select.select([], [], [], 0.01)


@contextlib.contextmanager
def ended(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Kill what is left of these processes at the end of a `with`."""
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE_S)
