"""A line between a program and a microcontroller that spoils bytes: seeded, in both directions."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from pathlib import Path

#: Bytes that are spoilt at once.
_PIECE = 64


class Noise:
    """Spoils pieces of a stream: some bytes are changed, dropped, repeated or inserted.

    Args:
        seed: decides what happens.
        rate: chance that a piece is spoilt.
    """

    KINDS = ("change", "drop", "repeat", "insert", "lose", "again")

    def __init__(self, seed: int, rate: float) -> None:
        self._chance, self.rate = random.Random(seed), rate
        self.done = dict.fromkeys(self.KINDS, 0)

    def spoil(self, data: bytes) -> bytes:
        """What comes out of the line."""
        return b"".join(self._spoilt(data[start : start + _PIECE]) for start in range(0, len(data), _PIECE))

    def _spoilt(self, data: bytes) -> bytes:
        chance = self._chance
        if chance.random() >= self.rate:
            return data
        kind = chance.choice(self.KINDS)
        self.done[kind] += 1
        at, much = chance.randrange(len(data)), chance.randrange(1, 12)
        if kind == "change":
            return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]
        if kind == "drop":
            return data[:at] + data[at + much :]
        if kind == "repeat":
            return data[: at + much] + data[at:]
        if kind == "insert":
            return data[:at] + chance.randbytes(much) + data[at:]
        return b"" if kind == "lose" else data + data


class NoisyLine:
    """A Unix socket that leads to another one, through noise. A context manager.

    Args:
        path: of the socket to make.
        target: path of the socket it leads to.
        seed: decides what happens.
        rate: chance that a piece is spoilt, in either direction.
    """

    def __init__(self, path: Path, target: str, seed: int, rate: float) -> None:
        self.address = f"unix://{path}"
        self.to_board, self.from_board = Noise(seed, rate), Noise(seed + 1, rate)
        self._target = target
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen(1)
        self._threads = [threading.Thread(target=self._serve, daemon=True)]
        self._ends: list[socket.socket] = []
        self._threads[0].start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.socket(socket.AF_UNIX)
                self._ends += [near, far]
                try:
                    far.connect(self._target)
                except OSError:
                    near.shutdown(socket.SHUT_RDWR)
                    continue
                for ends in ((near, far, self.to_board), (far, near, self.from_board)):
                    self._threads.append(threading.Thread(target=self._carry, args=ends, daemon=True))
                    self._threads[-1].start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket, noise: Noise) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(4096):
                sink.sendall(noise.spoil(data))
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Hang up on both sides: the port vanishes, and may be opened again."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> NoisyLine:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()
        for thread in self._threads:
            thread.join(5.0)
        for end in self._ends:
            end.close()
