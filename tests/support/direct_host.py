"""A host reduced to its control connection and one data connection: drives one real agent, message by message."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from edgebll import __version__
from edgebll.kernel.bundle import MANIFEST, Bundle
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport import ControlClient, Sender
from edgebll.kernel.wire import (
    PROTOCOL_VERSION,
    Assign,
    Failure,
    FilePiece,
    Hello,
    Message,
    Offer,
    Ready,
    Stop,
    Stopped,
    Token,
    Want,
    Welcome,
)

PATIENCE_S = 20.0
#: `edgebll-board`.
PROGRAM = "from edgebll_devices.commands.main import main; main()"
M = TypeVar("M", bound=Message)


@dataclass
class AgentProcess:
    """A running `edgebll-board serve`."""

    process: subprocess.Popen[str]
    name: str
    endpoint: str
    data_endpoint: str

    def end(self, number: int = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def agent_process(
    state: Path, *options: str, name: str = "test", prefix: Sequence[str] = (), program: str = PROGRAM
) -> Iterator[AgentProcess]:
    """Run an agent on free ports; its stderr goes to `state`/agent.log.

    Args:
        state: its folder.
        options: more of its command line.
        name: of the board.
        prefix: of the command, one that becomes it.
        program: what the interpreter runs.
    """
    command = [*prefix, sys.executable, "-c", program, "serve"]
    command += ["--listen", "tcp://127.0.0.1:0", "--name", name, "--state", str(state), *options]
    state.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "default", "PYTHONFAULTHANDLER": "1"}
    with (state / "agent.log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words[:3] == ["edgebll-board", name, "serving"], (words, (state / "agent.log").read_text())
        yield AgentProcess(process, name, words[3], words[5])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE_S)
        if process.stdout is not None:
            process.stdout.close()


class DirectHost:
    """One host's end of a session with one agent."""

    def __init__(self, endpoint: str, run: str, *, keys: KeyPair | None = None, server_key: str | None = None) -> None:
        self.run = run
        self.keys, self.server_key = keys, server_key
        self.control = ControlClient(endpoint, keys=keys, server_key=server_key)
        self.data: Sender | None = None

    def next(self, timeout_s: float = PATIENCE_S) -> Message:
        """The next message, whatever it is."""
        message = self.control.receive(timeout_s)
        assert message is not None, f"nothing came within {timeout_s} s{self.control.diagnosis()}"
        return message

    def expect(self, kind: type[M], timeout_s: float = PATIENCE_S) -> M:
        """The next message, which must be of this class."""
        message = self.next(timeout_s)
        assert isinstance(message, kind), message
        return message

    def hello(self) -> Welcome:
        """Greet the agent."""
        self.control.send(Hello(self.run, PROTOCOL_VERSION, __version__))
        return self.expect(Welcome)

    def offer(self, bundle: Bundle, blocks: tuple[str, ...]) -> Want:
        """Offer the files of these blocks."""
        files = tuple(
            name for name in bundle.manifest.files if name.split("/")[0] in blocks and not name.endswith("golden.safetensors")
        )
        self.control.send(Offer(self.run, (bundle.path / MANIFEST).read_bytes(), files))
        return self.expect(Want)

    def send_files(self, bundle: Bundle, want: Want, piece_bytes: int = 100) -> None:
        """Send what is wanted, in small pieces."""
        by_digest = {entry.sha256: name for name, entry in bundle.manifest.files.items()}
        for sha256 in want.sha256:
            data = (bundle.path / by_digest[sha256]).read_bytes()
            for offset in range(0, len(data), piece_bytes):
                self.control.send(FilePiece(sha256, offset, len(data), data[offset : offset + piece_bytes]))

    def assign(
        self,
        blocks: tuple[str, ...],
        *,
        endpoints: dict[str, str] | None = None,
        endpoint_keys: dict[str, str] | None = None,
        upstream_keys: tuple[str, ...] = (),
        runtime: str = "onnxruntime",
    ) -> None:
        """Order the agent to host these blocks."""
        self.control.send(Assign(self.run, blocks, endpoints or {}, endpoint_keys or {}, upstream_keys, runtime, 1))

    def start(self, bundle: Bundle, blocks: tuple[str, ...], **where: object) -> None:
        """Everything from Hello to Ready, and the data connection."""
        welcome = self.hello()
        self.send_files(bundle, self.offer(bundle, blocks))
        self.assign(blocks, **where)  # type: ignore[arg-type]
        self.expect(Ready)
        self.data = Sender(welcome.data_endpoint, keys=self.keys, server_key=self.server_key)

    def token(self, token: Token) -> None:
        """Send a token."""
        assert self.data is not None
        self.data.send(token, PATIENCE_S)

    def begin(
        self, bundle: Bundle, incarnation: int, blocks: tuple[str, ...] = ("block0", "block1"), runtime: str = "fake"
    ) -> None:
        """As `start`, in an incarnation of a run: both blocks, or one that sends to nowhere."""
        self.control.send(Hello(self.run, PROTOCOL_VERSION, __version__, incarnation=incarnation))
        welcome = self.wait_for(Welcome)
        files = tuple(name for name in bundle.manifest.files if name.split("/")[0] in blocks)
        self.control.send(Offer(self.run, (bundle.path / MANIFEST).read_bytes(), files, incarnation=incarnation))
        self.send_files(bundle, self.expect(Want))
        self.control.send(Assign(self.run, blocks, {}, {}, (), runtime, 1, incarnation=incarnation))
        assert self.expect(Ready).incarnation == incarnation
        self.data = Sender(welcome.data_endpoint)

    def wait_for(self, kind: type[M], limit_s: float = PATIENCE_S) -> M:
        """The next message of this class, whatever comes before it."""
        deadline = time.monotonic() + limit_s
        while True:
            message = self.next(deadline - time.monotonic())
            if isinstance(message, kind):
                return message

    def failure(self) -> Failure:
        """The next Failure, whatever comes before it."""
        return self.wait_for(Failure)

    def stop(self) -> None:
        """End the session."""
        self.control.send(Stop(self.run))
        deadline = time.monotonic() + PATIENCE_S
        while not isinstance(self.next(deadline - time.monotonic()), Stopped):
            pass

    def __enter__(self) -> DirectHost:
        return self

    def __exit__(self, *_: object) -> None:
        self.control.close()
        if self.data is not None:
            self.data.close()


@contextlib.contextmanager
def serving(agent: object) -> Iterator[threading.Thread]:
    """Run an in-process agent's `serve` in a thread for the length of a `with`, then stop and close it."""
    thread = threading.Thread(target=agent.serve, name="agent")  # type: ignore[attr-defined]
    thread.start()
    try:
        yield thread
    finally:
        agent.stop()  # type: ignore[attr-defined]
        thread.join(PATIENCE_S)
        agent.close()  # type: ignore[attr-defined]
        assert not thread.is_alive()
