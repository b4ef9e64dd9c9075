"""How agents come to run: started as processes of this machine, or already running on boards."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from edgebll.kernel.errors import BoardError
from edgebll.kernel.limits import kills_for_memory
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.support.atomic_files import storage_errors
from edgebll.kernel.support.readiness import await_readable
from edgebll_firmware_host.fleet.descriptor_check import check_connections
from edgebll_firmware_host.inventory import BoardEntry, Cluster, HostEntry

_START_S = 60.0
_END_S = 5.0
_LAST_CHARS = 300
#: An agent waits at least so long for a silent host.
_BOARD_DEADLINE_S = 10.0
#: What agents of this machine take over from the environment: where things lie that all of them share, and what they write.
_KEPT = ("EDGEBLL_ENGINES", "EDGEBLL_CUDART", "EDGEBLL_KEEP_SNAPSHOTS", "EDGEBLL_KEEP_GIB_PER_DAY")
#: Folder of agents' files, beside their logs, begins so.
_STATE = ".state-"
_AGENT = "from edgebll_devices.commands.main import main; main()"
#: What an agent does first: ask to be ended with its host (PR_SET_PDEATHSIG), even if that is killed; and see whether it was
#: by now. In the agent, not between fork and exec: a host may have many threads, as in a notebook, and no lock of theirs is
#: held in the child then.
_END_WITH_HOST = "import ctypes, os; ctypes.CDLL(None).prctl(1, {signal:d}); os.getppid() == {host} or os._exit(0); "


class Engine(Protocol):
    """Provides boards; a context manager that gives them back."""

    def __enter__(self) -> Cluster:
        """Make the boards available.

        Raises:
            ConfigError: this process may not open as many files as connections to them need.
        """

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give the boards back."""

    def check(self) -> None:
        """Raise BoardError if a board is known to have ended."""

    def mend(self, lost: Collection[str]) -> Cluster:
        """The cluster for a new incarnation, with boards that ended, and those given, started anew where that can be done.

        Args:
            lost: boards that were given up.
        """


class RunningAgents:
    """Agents that somebody else started, by their addresses in the inventory."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def __enter__(self) -> Cluster:
        check_connections(len(self._cluster.boards))
        return self._cluster

    def __exit__(self, *_: object) -> None:
        return None

    def check(self) -> None:
        """Nothing is known of other machines but what they say."""

    def mend(self, lost: Collection[str]) -> Cluster:
        """Other machines come back by themselves, if they do."""
        return self._cluster


class LocalProcesses:
    """`num_boards` agents as processes of this machine, on free ports of the loopback interface; ended with the context.

    Args:
        num_boards: how many.
        logs: folder for each agent's log.
        host: window and deadline.
        threads: of every board's training steps, at least 1.
        runtime: of every board.
        microcontrollers: ports of those that compute for the first boards.
        cap_threads: whether boards use no more threads than they have processors.
        memory_mib: memory of every board in MiB; None for what is free, 0 for no check.
    """

    def __init__(
        self,
        num_boards: int,
        logs: Path,
        *,
        threads: int = 1,
        runtime: str = "onnxruntime",
        microcontrollers: Sequence[str] = (),
        cap_threads: bool = True,
        memory_mib: int | None = None,
        host: HostEntry | None = None,
    ) -> None:
        self._num_boards, self._logs = num_boards, logs
        self._threads, self._runtime, self._host = threads, runtime, host or HostEntry()
        self._ports = {f"board{number}": port for number, port in enumerate(microcontrollers)}
        self._limits: dict[str, Any] = {"cap_threads": cap_threads, "memory_mib": memory_mib}
        self._kills: int | None = None  # by the system for want of memory, when agents were last started
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._entries: dict[str, BoardEntry] = {}
        self._state = Path()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Cluster:
        check_connections(self._num_boards)
        try:
            with storage_errors(self._logs):
                self._logs.mkdir(parents=True, exist_ok=True)
                for left in self._logs.glob(f"{_STATE}*"):  # by a host that was killed
                    shutil.rmtree(left, ignore_errors=True)
                self._state = Path(self._cleanup.enter_context(tempfile.TemporaryDirectory(prefix=_STATE, dir=self._logs)))
            return self._launch([f"board{index}" for index in range(self._num_boards)])
        except BaseException:
            self._end()
            raise

    def mend(self, lost: Collection[str]) -> Cluster:
        """Start agents anew that ended or were given up; their folders are those of the ones before."""
        names = [name for name, process in self._processes.items() if name in lost or process.poll() is not None]
        for name in names:
            process = self._processes[name]
            process.kill()  # it may be frozen
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        return self._launch(names)

    def _launch(self, names: Collection[str]) -> Cluster:
        """Start these agents, all at once, and return the cluster of all."""
        self._kills = kills_for_memory()
        for name in names:
            self._processes[name] = self._start(name)
        for name in names:
            self._entries[name] = self._entry(name)
        return Cluster(tuple(self._entries.values()), self._host)

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        first = _END_WITH_HOST.format(signal=signal.SIGTERM, host=os.getpid()) if sys.platform == "linux" else ""
        command = [sys.executable, "-c", first + _AGENT, "serve", "--listen", "tcp://127.0.0.1:0", "--name", name]
        command += ["--state", str(self._state / name), "--deadline", str(max(_BOARD_DEADLINE_S, self._host.deadline_s))]
        command += ["--leave-seconds", "0"]  # this host ends them when it needs them no more, or is gone
        command += ["--serial", self._ports[name]] if name in self._ports else []
        environment = {key: value for key, value in os.environ.items() if not key.startswith("EDGEBLL_") or key in _KEPT}
        environment.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(self._threads)))
        with storage_errors(self._log(name)):
            self._logs.mkdir(parents=True, exist_ok=True)  # somebody may have removed it
        with storage_errors(self._log(name)), self._log(name).open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
                start_new_session=True,  # Ctrl-C is the host's to handle: it stops the boards in order
            )

    def _entry(self, name: str) -> BoardEntry:
        line = _read_line(self._processes[name], _START_S)
        words = line.split()
        if words[:3] != ["edgebll-board", name, "serving"] or len(words) < 4:
            raise BoardError(f"the agent {name} did not start; its log is {self._log(name)}{self._last_words(name)}")
        runtime = SERIAL if name in self._ports else self._runtime
        return BoardEntry(name, words[3], threads=self._threads, runtime=runtime, **self._limits)

    def check(self) -> None:
        """Raise BoardError if an agent's process has ended."""
        for name, process in self._processes.items():
            code = process.poll()
            if code is not None:
                how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
                how += self._for_memory(code)
                said = "" if code < 0 else self._last_words(name)
                raise BoardError(f"board {name} (process {process.pid}) {how}; its log is {self._log(name)}{said}", name)

    def _for_memory(self, code: int) -> str:
        """Why it may have been killed, to append to a sentence."""
        more = self._kills is not None and (kills_for_memory() or 0) > self._kills
        return ", probably because it was out of memory" if code == -signal.SIGKILL and more else ""

    def process_ids(self) -> dict[str, int]:
        """Process id of each agent that has not ended, by the board's name."""
        return {name: process.pid for name, process in self._processes.items() if process.poll() is None}

    def _log(self, name: str) -> Path:
        return self._logs / f"{name}.log"

    def _last_words(self, name: str) -> str:
        """What an agent's log says last, to append to a sentence."""
        with contextlib.suppress(OSError):
            lines = self._log(name).read_text("utf-8", "replace")[-_LAST_CHARS:].splitlines()
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            return f" and ends with: {last}" if last else ""
        return ""

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        """Ask every agent to end, then insist; by process id, and only our own."""
        for process in self._processes.values():
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + _END_S
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._cleanup.close()


def _read_line(process: subprocess.Popen[bytes], limit_s: float) -> str:
    """First line of a process's stdout; empty if it ends or says nothing in time."""
    if process.stdout is None:
        return ""
    deadline = time.monotonic() + limit_s
    line = b""
    while not line.endswith(b"\n"):
        if not await_readable(process.stdout, deadline - time.monotonic()):
            return ""
        piece = os.read(process.stdout.fileno(), 1024)
        if not piece:
            return ""
        line += piece
    return line.decode("utf-8", "replace")
