"""A board reduced to its control socket: answers as a script says, and remembers what it heard. For tests of the host."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from types import TracebackType

from edgebll.kernel.errors import LinkError
from edgebll.kernel.transport import ControlServer
from edgebll.kernel.wire import PROTOCOL_VERSION, Hello, Message, Offer, Ping, Pong, Stop, Stopped, Want, Welcome

Answer = Callable[[Message], Iterable[Message]]


def welcome(name: str = "fake", **changes: object) -> Welcome:
    """What a board says of itself."""
    values: dict = {
        "name": name,
        "protocol": PROTOCOL_VERSION,
        "version": "0",
        "data_endpoint": "tcp://127.0.0.1:9",
        "cores": 1,
        "memory_bytes": 1 << 30,
        "runtimes": ("onnxruntime",),
        "python": "3",
        "platform": "test",
        **changes,
    }
    return Welcome(**values)


class FakeBoard:
    """Listens in a thread while in use as a context manager.

    Args:
        answer: messages to send for a message that came; None leaves it to the usual manners.

    Attributes:
        heard: (monotonic time, message) of everything that came.
    """

    def __init__(self, answer: Callable[[Message], Iterable[Message] | None] = lambda _: None) -> None:
        self.heard: list[tuple[float, Message]] = []
        self._answer = answer
        self._server = ControlServer("tcp://127.0.0.1:0")
        self.endpoint = self._server.endpoint
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="fake-board")

    def times(self, kind: type[Message]) -> list[float]:
        """When messages of this class came."""
        return [when for when, message in self.heard if isinstance(message, kind)]

    def _serve(self) -> None:
        while not self._over.is_set():
            received = self._server.receive(0.02)
            if received is None:
                continue
            peer, message = received
            self.heard.append((time.monotonic(), message))
            scripted = self._answer(message)
            for answer in manners(message) if scripted is None else scripted:
                try:
                    self._server.send(peer, answer)
                except LinkError:
                    break  # the host is gone

    def __enter__(self) -> FakeBoard:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self._thread.join(20)
        self._server.close()


def manners(message: Message) -> list[Message]:
    """What a well-behaved board that needs no files answers."""
    if isinstance(message, Hello):
        return [welcome()]
    if isinstance(message, Ping):
        return [Pong(message.sent_ns, time.monotonic_ns())]
    if isinstance(message, Offer):
        return [Want(message.run, ())]
    if isinstance(message, Stop):
        return [Stopped(message.run)]
    return []
