"""A TCP proxy that does to a link what networks do: cut it, stop it half-open, slow it, repeat and change bytes."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
from types import TracebackType

_CHUNK = 16384


class Proxy:
    """Forwards connections to a port of this machine while in use as a context manager.

    Args:
        target: the port. seed: decides which byte is changed.

    Attributes:
        port: where it listens. hold: connections stand, but nothing comes through, while this is clear.
        delay_s: how long every chunk takes.
    """

    def __init__(self, target: int, seed: int = 0) -> None:
        self._target, self._chance = target, random.Random(seed)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.hold = threading.Event()
        self.hold.set()
        self.delay_s = 0.0
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._repeat = self._change = False

    def cut(self) -> None:
        """Reset all connections; new ones can be made."""
        with self._lock:
            for end in self._open:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.shutdown(socket.SHUT_RDWR)

    def repeat(self) -> None:
        """Send the next chunk twice."""
        self._repeat = True

    def change(self) -> None:
        """Change a byte of the next chunk."""
        self._change = True

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), 5.0)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._open |= {near, far}
            for pair in ((near, far), (far, near)):
                thread = threading.Thread(target=self._pump, args=pair, name="proxy", daemon=True)
                self._threads = [t for t in self._threads if t.is_alive()] + [thread]
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(_CHUNK):
                if self.delay_s:
                    self._over.wait(self.delay_s)
                self.hold.wait()
                sink.sendall(self._spoilt(data))
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            with self._lock:
                self._open.discard(source)
            source.close()

    def _spoilt(self, data: bytes) -> bytes:
        if self._change:
            self._change = False
            spoilt = bytearray(data)
            spoilt[self._chance.randrange(len(data))] ^= 1 << self._chance.randrange(8)
            return bytes(spoilt)
        if self._repeat:
            self._repeat = False
            return data + data
        return data

    def __enter__(self) -> Proxy:
        self._threads = [threading.Thread(target=self._accept, name="proxy", daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        self.hold.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(5.0)
