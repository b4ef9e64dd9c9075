"""Boards as processes behind proxies, for runs that faults are done to, and the stream of such a run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgebll.kernel.keys import new_key_pair
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN
from support.direct_host import AgentProcess, agent_process
from support.proxy import Proxy

#: Silence after which the host gives a board up, and a board its host.
HOST_DEADLINE_S, BOARD_DEADLINE_S = 1.0, 2.0
#: A run of which nothing is heard for so long hangs, however slow the machine is.
LIMIT_S = 90.0


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
