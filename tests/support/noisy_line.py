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
        self.bytes = 0

    def spoil(self, data: bytes) -> bytes:
        """What comes out of the line, whose bytes are counted as they came."""
        self.bytes += len(data)
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
        self._lines: list[tuple[tuple[socket.socket, socket.socket], list[threading.Thread]]] = []
        self._server_thread = threading.Thread(target=self._serve, daemon=True)
        self._server_thread.start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                self._forget_ended()
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(self._target)
                except OSError:
                    near.close()
                    far.close()
                    continue
                ways = ((near, far, self.to_board), (far, near, self.from_board))
                carriers = [threading.Thread(target=self._carry, args=ends, daemon=True) for ends in ways]
                self._lines.append(((near, far), carriers))
                for thread in carriers:
                    thread.start()

    def _forget_ended(self) -> None:
        """Give the descriptors of lines back that were hung up: a board that is away is called many times a second."""
        for line in [line for line in self._lines if not any(thread.is_alive() for thread in line[1])]:
            self._lines.remove(line)
            for end in line[0]:
                end.close()

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
        for ends, _ in list(self._lines):
            for end in ends:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> NoisyLine:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._server_thread.join(5.0)
        self.cut()
        for _, carriers in self._lines:
            for thread in carriers:
                thread.join(5.0)
        self._forget_ended()
