"""A run in a process of its own, to which things happen at chosen steps."""

from __future__ import annotations

import itertools
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.wire import EVAL, TRAIN
from support.chaos_boards import LIMIT_S, Board

_LOOK_S = 0.25
_TESTS = Path(__file__).parents[1]


@dataclass
class Trial:
    """One run with its faults.

    Args:
        bundle, kinds, cluster, boards: what runs, and where. run: folder of the run. pause_s: of the host, before each token.

    Attributes:
        lines: what the hosts said last. log: what was done. look: called a few times a second, with the host's process id.
        prefix: of the host's command, one that becomes it.
    """

    bundle: Bundle
    kinds: Sequence[str]
    cluster: Path
    boards: Sequence[Board]
    run: Path
    pause_s: float = 0.002
    prefix: Sequence[str] = ()
    look: Callable[[int], None] = lambda _: None
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=5000))
    log: list[str] = field(default_factory=list)
    _later: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    _host: subprocess.Popen[bytes] | None = None
    _looked_s: float = 0.0

    def go(self, faults: Sequence[tuple[int, str, Callable[[Trial], None]]]) -> str:
        """Run to the end; returns the fingerprint of the final states.

        Args:
            faults: (training step, name, what to do), in order of steps.
        """
        waiting, heard = list(faults), time.monotonic()
        self._start_host()
        try:
            while True:
                assert time.monotonic() - heard < LIMIT_S, self._hangs()
                line = self._line()
                if line is None:
                    continue
                heard = time.monotonic()
                word, _, rest = line.partition(" ")
                if word == "end":
                    self._check_record()
                    return rest
                while word == "step" and waiting and int(rest) >= waiting[0][0]:
                    step, name, inflict = waiting.pop(0)
                    self.log.append(f"step {step}: {name}")
                    inflict(self)
        finally:
            self.end_host()
            for _, undo in self._later:
                undo()
            self._later.clear()
            for board in self.boards:
                board.whole()

    def _check_record(self) -> None:
        """However much was replayed: one line for each block and training step, and one for each evaluation."""
        lines = [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]
        found = Counter((line["kind"], line.get("block"), line["step"]) for line in lines)
        done = itertools.accumulate(kind == TRAIN for kind in self.kinds)
        expected: set[tuple[str, str | None, int]] = {
            ("eval", None, step) for step, kind in zip(done, self.kinds, strict=True) if kind == EVAL
        }
        for block in self.bundle.manifest.blocks:
            expected |= {("train", block.name, step) for step in range(self.kinds.count(TRAIN))}
        assert found == Counter(expected), self._story(f"recorded otherwise than once: {found - Counter(expected)}")

    def later(self, seconds: float, undo: Callable[[], None]) -> None:
        """Do something in a while, at the latest when the run is over."""
        self._later.append((time.monotonic() + seconds, undo))

    def host_signal(self, number: int) -> None:
        """Signal the host, if it runs."""
        if self._host is not None and self._host.poll() is None:
            self._host.send_signal(number)

    def kill_host(self) -> None:
        """Kill the host, and start another one for the same run."""
        self.end_host()
        self._start_host()

    def _start_host(self) -> None:
        kinds = self.run.with_suffix(".kinds.json")
        kinds.write_text(json.dumps(list(self.kinds)))
        arguments = [str(self.bundle.path), str(self.run), str(self.cluster), str(kinds), str(self.pause_s)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(_TESTS)]), "OMP_NUM_THREADS": "1"}
        command = [*self.prefix, sys.executable, "-m", "support.chaos_host", *arguments]
        self._host = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment)
        assert self._host.stdout is not None
        os.set_blocking(self._host.stdout.fileno(), False)
        self._buffer = b""

    def end_host(self) -> None:
        """Kill the host, if it runs."""
        if self._host is not None:
            self._host.kill()
            self._host.wait()
            assert self._host.stdout is not None
            self._host.stdout.close()
            self._host = None

    def _line(self) -> str | None:
        """The host's next line, or None if there is none yet; meanwhile what was put off is done."""
        if self._host is not None and time.monotonic() - self._looked_s > _LOOK_S:
            self._looked_s = time.monotonic()
            self.look(self._host.pid)
        for due in [entry for entry in self._later if entry[0] <= time.monotonic()]:
            self._later.remove(due)
            due[1]()
        if b"\n" not in self._buffer:
            assert self._host is not None
            assert self._host.stdout is not None
            with selectors.DefaultSelector() as selector:
                selector.register(self._host.stdout, selectors.EVENT_READ)
                if selector.select(0.05):
                    piece = os.read(self._host.stdout.fileno(), 1 << 16)
                    self._buffer += piece
                    assert piece, self._story("the host ended")
        if b"\n" not in self._buffer:
            return None
        raw, _, self._buffer = self._buffer.partition(b"\n")
        self.lines.append(raw.decode("utf-8", "replace"))
        return self.lines[-1]

    def _hangs(self) -> str:
        """The story of a run that hangs: where every thread of the host and of the boards stands, too."""
        self.host_signal(signal.SIGUSR1)
        for board in self.boards:
            board.send(signal.SIGCONT)
            board.send(signal.SIGABRT)
            board.agent.process.wait()
        until = time.monotonic() + 2.0
        while time.monotonic() < until:
            self._line()
        stacks = (f"{board.name}: {board.log.read_text()[-6000:]}" for board in self.boards)
        return "\n".join([self._story("the run hangs"), *stacks])

    def _story(self, what: str) -> str:
        said = [line for line in self.lines if not line.startswith("step")]
        return "\n".join([what, *self.log, *said[-40:], self._buffer.decode("utf-8", "replace")[-2000:]])
