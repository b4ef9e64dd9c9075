"""A TCP proxy that carries so many bytes a second and delivers them later, as a slow network does."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from types import TracebackType

_CHUNK = 4096


class SlowLink:
    """Forwards connections to a port of this machine while in use as a context manager.

    Args:
        target: the port.
        bytes_per_s: each way.
        latency_s: each way.

    Attributes:
        port: where it listens.
    """

    def __init__(self, target: int, bytes_per_s: float, latency_s: float) -> None:
        self._target, self._rate, self._latency_s = target, bytes_per_s, latency_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ends: list[socket.socket] = []

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._ends += [near, far]
                for source, sink in ((near, far), (far, near)):
                    waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
                    for work, end in ((self._take, source), (self._give, sink)):
                        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        threading.Thread(target=work, args=(end, waiting), daemon=True).start()

    def _take(self, source: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        free = 0.0
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                free = max(free, time.monotonic()) + len(data) / self._rate
                waiting.put((free + self._latency_s, data))
        waiting.put((0.0, b""))

    def _give(self, sink: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
        with contextlib.suppress(OSError):
            while (item := waiting.get())[1]:
                time.sleep(max(0.0, item[0] - time.monotonic()))
                sink.sendall(item[1])
            sink.shutdown(socket.SHUT_WR)

    def __enter__(self) -> SlowLink:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for end in (self._listener, *self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
