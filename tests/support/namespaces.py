"""Boards in network namespaces of their own, joined by a bridge: links that are cut, slowed and spoilt."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from edgebll.kernel.keys import new_key_pair
from support.chaos_boards import BOARD_DEADLINE_S, HOST_DEADLINE_S, LIMIT_S
from support.direct_host import AgentProcess, agent_process
from support.impaired_link import ImpairedLink, Impairment

_NET = "10.213.77"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed."""
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=20)


def _device(name: str) -> str:
    """Name of a network device of this process's own, while it is in the first namespace; at most 15 characters."""
    return f"ebll{os.getpid()}{name}"


def why_not() -> str | None:
    """Why this machine has no network namespaces for us, or None."""
    if os.geteuid() != 0 or shutil.which("ip") is None or shutil.which("tc") is None:
        return "network namespaces need root, ip and tc (apt install iproute2)"
    name = f"edgebll-{os.getpid()}-probe"
    try:
        run("ip", "netns", "add", name)
        try:
            run("ip", "-n", name, "link", "add", "x", "type", "bridge")
            with ImpairedLink(_device("near"), _device("far")):
                run("ip", "link", "set", _device("near"), "netns", name)
        finally:
            run("ip", "netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"this machine makes no network namespaces: {error.stderr.strip()}"
    except OSError as error:
        return f"this machine makes no TAP devices (/dev/net/tun: {error.strerror})"
    return None


class RemoteBoard:
    """An agent in a namespace: `number` of the bridge's. Its link is the bridge's port of the same number.

    It listens for data at its address, or `everywhere`.
    """

    def __init__(self, number: int, host_space: str, folder: Path, host_key: str, *, everywhere: bool = False) -> None:
        self.name, self._space, self._host_space = f"board{number}", f"{host_space}-{number}", host_space
        self._port, self.address = f"port{number}", f"{_NET}.{number + 2}"
        self._folder, self._stack = folder / self.name, contextlib.ExitStack()
        self.public_key = new_key_pair(folder / f"{self.name}.key").public
        run("ip", "netns", "add", self._space)
        self._stack.callback(run, "ip", "netns", "del", self._space)
        ends = _device(f"n{number}"), _device(f"f{number}")
        self.link = self._stack.enter_context(ImpairedLink(*ends, seed=number))
        for end, where_to, called in zip(ends, (host_space, self._space), (self._port, "eth0"), strict=True):
            run("ip", "link", "set", end, "netns", where_to)
            run("ip", "-n", where_to, "link", "set", end, "name", called)
        run("ip", "-n", host_space, "link", "set", self._port, "master", "bridge", "up")
        run("ip", "-n", self._space, "addr", "add", f"{self.address}/24", "dev", "eth0")
        run("ip", "-n", self._space, "link", "set", "eth0", "up")
        run("ip", "-n", self._space, "link", "set", "lo", "up")
        where = ["--listen", f"{self.endpoint}", "--data-listen", f"tcp://{'0.0.0.0' if everywhere else self.address}:7201"]
        where += ["--key", str(folder / f"{self.name}.key"), "--allow", host_key, "--deadline", str(BOARD_DEADLINE_S)]
        prefix = ("ip", "netns", "exec", self._space)
        self.agent: AgentProcess = self._stack.enter_context(agent_process(self._folder, *where, name=self.name, prefix=prefix))

    @property
    def endpoint(self) -> str:
        """Where the host reaches it."""
        return f"tcp://{self.address}:7101"

    def cut(self) -> None:
        """Take the link down: nobody is told, packets just stop."""
        run("ip", "-n", self._host_space, "link", "set", self._port, "down")

    def shape(self, *discipline: str) -> None:
        """What tc is to do to packets towards the board, e.g. "netem", "delay", "20ms"."""
        run("tc", "-n", self._host_space, "qdisc", "replace", "dev", self._port, "root", *discipline)

    def impair(self, impairment: Impairment) -> None:
        """What is to happen to frames from and to the board."""
        self.link.impairment = impairment

    def whole(self) -> None:
        """Undo what was done to it."""
        self.link.impairment = Impairment()
        run("ip", "-n", self._host_space, "link", "set", self._port, "up")
        with contextlib.suppress(subprocess.CalledProcessError):  # there was none
            run("tc", "-n", self._host_space, "qdisc", "del", "dev", self._port, "root")
        self.agent.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its namespace."""
        self._stack.close()


@contextlib.contextmanager
def remote_boards(
    folder: Path, number: int, *, everywhere: bool = False
) -> Iterator[tuple[list[RemoteBoard], Path, tuple[str, ...]]]:
    """So many boards, a cluster.toml with them, and what runs a command where the host is."""
    folder.mkdir(parents=True)
    space = f"edgebll-{os.getpid()}"
    key = new_key_pair(folder / "host.key").public
    with contextlib.ExitStack() as stack:
        run("ip", "netns", "add", space)
        stack.callback(run, "ip", "netns", "del", space)
        for words in (("link", "add", "bridge", "type", "bridge"), ("addr", "add", f"{_NET}.1/24", "dev", "bridge")):
            run("ip", "-n", space, *words)
        for name in ("bridge", "lo"):
            run("ip", "-n", space, "link", "set", name, "up")
        made = []
        for index in range(number):
            made.append(RemoteBoard(index, space, folder, key, everywhere=everywhere))
            stack.callback(made[-1].close)
        text = f'[host]\nkey = "host.key"\ndeadline_s = {HOST_DEADLINE_S}\npatience_s = {LIMIT_S}\n'
        for board in made:
            text += f'[[board]]\nname = "{board.name}"\nendpoint = "{board.endpoint}"\npublic_key = "{board.public_key}"\n'
        (folder / "cluster.toml").write_text(text)
        yield made, folder / "cluster.toml", ("ip", "netns", "exec", space)
