"""Seeded faults for a run over real processes: boards, host and links are killed, frozen, cut and spoilt at chosen steps."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import selectors
import signal
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.keys import new_key_pair
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN
from support.direct_host import AgentProcess, agent_process
from support.proxy import Proxy

#: Silence after which the host gives a board up, and a board its host.
HOST_DEADLINE_S, BOARD_DEADLINE_S = 1.0, 2.0
#: A run of which nothing is heard for so long hangs, however slow the machine is.
LIMIT_S = 90.0
_LOOK_S = 0.25
_TESTS = Path(__file__).parents[1]


def make_kinds(steps: int, snapshot_every: int) -> list[str]:
    """A stream with an evaluation after every third snapshot."""
    kinds: list[str] = []
    for step in range(1, steps + 1):
        kinds.append(TRAIN)
        if step % snapshot_every == 0:
            kinds.append(SNAPSHOT)
        if step % (3 * snapshot_every) == 0:
            kinds += [EVAL, EVAL]
    return [*kinds, END]


class Board:
    """An agent behind two proxies, one for its control and one for its data address. It can be started again.

    Args:
        name, folder: of the board. options: more of its command line.
    """

    def __init__(self, name: str, folder: Path, options: Sequence[str]) -> None:
        self.name, self._folder, self._options = name, folder, options
        self._stack = contextlib.ExitStack()
        with agent_process(folder, *options, name=name) as first:  # to learn two free ports
            ports = [endpoint.rsplit(":", 1)[1] for endpoint in (first.endpoint, first.data_endpoint)]
            first.end()
        self._listen, self._data = (f"tcp://127.0.0.1:{port}" for port in ports)
        self.control, self.data = (self._stack.enter_context(Proxy(int(port))) for port in ports)
        self.agent: AgentProcess
        self.start()

    @property
    def endpoint(self) -> str:
        """Where the host reaches it."""
        return f"tcp://127.0.0.1:{self.control.port}"

    @property
    def log(self) -> Path:
        """What the agent logs."""
        return self._folder / "agent.log"

    def start(self) -> None:
        """Start the agent at its addresses, with what it has on its disk."""
        where = ["--listen", self._listen, "--data-listen", self._data]
        where += ["--data-announce", f"tcp://127.0.0.1:{self.data.port}", "--deadline", str(BOARD_DEADLINE_S)]
        self.agent = self._stack.enter_context(agent_process(self._folder, *where, *self._options, name=self.name))

    def kill(self) -> None:
        """As a loss of power does."""
        self.agent.process.kill()
        self.agent.process.wait()

    def send(self, number: int) -> None:
        """Signal the agent."""
        self.agent.process.send_signal(number)

    def whole(self) -> None:
        """Undo what was done to it."""
        for proxy in (self.control, self.data):
            proxy.hold.set()
            proxy.delay_s = 0.0
        if self.agent.process.poll() is not None:
            self.start()
        self.send(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self.whole()
        self._stack.close()


@contextlib.contextmanager
def boards(folder: Path, number: int, *, encrypted: bool) -> Iterator[tuple[list[Board], Path]]:
    """So many boards, and a cluster.toml with them."""
    folder.mkdir(parents=True)
    names = [f"board{index}" for index in range(number)]
    keys = {name: new_key_pair(folder / f"{name}.key") for name in ("host", *names)} if encrypted else {}
    host = f"deadline_s = {HOST_DEADLINE_S}\npatience_s = {LIMIT_S}\n" + ('key = "host.key"\n' if keys else "")
    with contextlib.ExitStack() as stack:
        made = []
        for name in names:
            options = ("--key", str(folder / f"{name}.key"), "--allow", keys["host"].public) if keys else ()
            board = Board(name, folder / name, options)
            stack.callback(board.close)
            made.append(board)
        tables = ""
        for board in made:
            tables += f'[[board]]\nname = "{board.name}"\nendpoint = "{board.endpoint}"\n'
            tables += f'public_key = "{keys[board.name].public}"\n' if keys else ""
        (folder / "cluster.toml").write_text(f"[host]\n{host}{tables}")
        yield made, folder / "cluster.toml"


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


Fault = Callable[[Trial, Board, random.Random], None]


def _kill(trial: Trial, board: Board, chance: random.Random) -> None:
    board.kill()
    trial.later(chance.choice([0.0, 0.3, 2.0]), board.whole)


def _freeze(trial: Trial, board: Board, chance: random.Random) -> None:
    board.send(signal.SIGSTOP)
    trial.later(chance.choice([0.3, 2.0, 4.0]), board.whole)  # within the deadline, and beyond it


def _kill_host(trial: Trial, board: Board, chance: random.Random) -> None:
    trial.kill_host()


def _freeze_host(trial: Trial, board: Board, chance: random.Random) -> None:
    trial.host_signal(signal.SIGSTOP)
    trial.later(chance.choice([0.5, BOARD_DEADLINE_S + 0.5]), lambda: trial.host_signal(signal.SIGCONT))


def _cut(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).cut()


def _flap(trial: Trial, board: Board, chance: random.Random) -> None:
    proxy = chance.choice([board.control, board.data])
    for number in range(4):
        trial.later(0.1 * number, proxy.cut)


def _half_open(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).hold.clear()
    trial.later(chance.choice([0.3, 2.0]), board.whole)


def _slow(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).delay_s = 0.005
    trial.later(1.0, board.whole)


def _repeat(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).repeat()


def _change(trial: Trial, board: Board, chance: random.Random) -> None:
    chance.choice([board.control, board.data]).change()


#: What may happen on any link.
FAULTS: dict[str, Fault] = {
    "kill a board": _kill,
    "freeze a board": _freeze,
    "kill the host": _kill_host,
    "freeze the host": _freeze_host,
    "cut a link": _cut,
    "flap a link": _flap,
    "stop a link": _half_open,
    "slow a link": _slow,
}
#: What only encrypted links notice for sure; plain ones are for one machine alone.
SPOILING: dict[str, Fault] = {"repeat bytes": _repeat, "change a byte": _change}


def schedule(
    seed: int, steps: int, boards: Sequence[Board], number: int, *, encrypted: bool, without: Sequence[str] = ()
) -> list[tuple[int, str, Callable[[Trial], None]]]:
    """Faults at random steps to random boards, the same for the same seed; `without` those of these names."""
    chance = random.Random(seed)
    known = {name: fault for name, fault in {**FAULTS, **(SPOILING if encrypted else {})}.items() if name not in without}
    found = []
    for step in sorted(chance.randrange(1, steps) for _ in range(number)):
        name, board = chance.choice(sorted(known)), chance.choice(list(boards))
        found.append((step, f"{name} ({board.name})", _bound(known[name], board, random.Random(chance.random()))))
    return found


def _bound(fault: Fault, board: Board, chance: random.Random) -> Callable[[Trial], None]:
    return lambda trial: fault(trial, board, chance)
