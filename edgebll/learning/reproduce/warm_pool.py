"""Training processes that stay warm: each imports torch and reads the recipe once, then trains one cell after another."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any, cast

from edgebll.kernel.errors import EdgebllError
from edgebll.learning.reproduce.cells import Cell
from edgebll.learning.reproduce.one_run import Clock


class ProcessEndedError(EdgebllError):
    """A training process ended before it had answered, e.g. because it was killed."""


#: How long a process that was told to end may take.
_END_S = 30.0


class WarmPool:
    """Processes of `edgebll.learning.reproduce.worker`, started as they are needed. Use it as a context manager.

    Args:
        told: what every process is told once: "table", "scale", "seeds", "runs", "data_dir" and "how".
    """

    def __init__(self, told: Mapping[str, Any]) -> None:
        self._told = {**told, "parent": os.getpid()}
        self._lock = threading.Lock()
        self._idle: list[subprocess.Popen[str]] = []
        self._all: list[subprocess.Popen[str]] = []
        self._stopped = False

    def __enter__(self) -> WarmPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def train(self, cell: Cell, clock: Clock) -> str:
        """Train one cell in a process that is free, or a new one; it says itself how it goes. Any thread may call this.

        Args:
            cell: which one.
            clock: how much time is left.

        Returns:
            What `run_cell` does.

        Raises:
            ProcessEndedError: its process was killed. EdgebllError: the training failed, with the exit code of its family.
        """
        process = self._take()
        left = None if clock.deadline is None else clock.deadline - time.monotonic()
        answer = _ask(process, {"cell": cell.folder, "seconds": left})
        if answer is None:
            raise ProcessEndedError(_why_ended(process.wait()))
        with self._lock:
            self._idle.append(process)
        if "error" in answer:
            error = EdgebllError(answer["error"])
            error.exit_code = answer["exit_code"]
            raise error
        return str(answer["state"])

    def _take(self) -> subprocess.Popen[str]:
        with self._lock:
            if self._stopped:
                raise EdgebllError("stopped")
            while self._idle:
                if (process := self._idle.pop()).poll() is None:
                    return process
            environment = {**os.environ, "OMP_NUM_THREADS": str(self._told["how"]["threads"])}
            command = [sys.executable, "-m", "edgebll.learning.reproduce.worker", json.dumps(self._told)]
            process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self._all.append(process)
            return process

    def interrupt(self) -> None:
        """Stop what is under way; each training has a checkpoint to go on from."""
        with self._lock:
            self._stopped = True
            for process in self._all:
                if process.poll() is None:
                    process.terminate()

    def close(self) -> None:
        """End all processes, once what they do is done."""
        with self._lock:
            self._stopped, processes = True, list(self._all)
        for process in processes:
            with contextlib.suppress(BrokenPipeError):  # it has ended, and never took its last order
                cast("IO[str]", process.stdin).close()
        for process in processes:
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            cast("IO[str]", process.stdout).close()


def _ask(process: subprocess.Popen[str], order: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer of a process; None where it has ended."""
    try:
        cast("IO[str]", process.stdin).write(json.dumps(order) + "\n")
        cast("IO[str]", process.stdin).flush()
    except BrokenPipeError:
        return None
    line = cast("IO[str]", process.stdout).readline()
    return cast("dict[str, Any]", json.loads(line)) if line.endswith("\n") else None


def _why_ended(code: int) -> str:
    if code < 0:
        return f"its process was killed by signal {-code}, perhaps for want of memory; give the same command again to go on"
    return f"its process ended with exit code {code}; what it said stands above"
