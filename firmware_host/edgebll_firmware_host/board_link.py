"""The host's side of one board: its control connection, the start of a session, and its clock."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from edgebll import __version__
from edgebll.bundle import MANIFEST, Bundle
from edgebll.errors import BoardError, LinkError, LinkTimeout
from edgebll.keys import KeyPair
from edgebll.transport import ControlClient, poll, reachable
from edgebll.wire import (
    PROTOCOL_VERSION,
    Assign,
    Failure,
    FilePiece,
    Hello,
    Message,
    Offer,
    Ping,
    Pong,
    Ready,
    Stop,
    Stopped,
    Want,
    Welcome,
)
from edgebll_firmware_host.inventory import BoardEntry

#: Files travel in pieces of this size.
PIECE_BYTES = 1 << 20
_PING_S = 0.5
#: A board may take long to load blocks, as long as it answers heartbeats.
LOAD_S = 600.0

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Neighbours:
    """Where a board's outputs go and who may send to it: block -> endpoint, block -> public key, public keys."""

    next_endpoint: Mapping[str, str]
    next_key: Mapping[str, str]
    upstream_keys: tuple[str, ...]


class BoardLink:
    """A board as the host talks to it; close it when done.

    Args:
        entry: the board. run: identifier of the run. keys: the host's key pair, if encrypted.
        deadline_s: silence after which the board counts as lost.

    Attributes:
        welcome: what the board said of itself, after `greet`.
        clock_offset_ns: the board's monotonic clock minus the host's, from the quickest heartbeat so far.
    """

    def __init__(self, entry: BoardEntry, run: str, keys: KeyPair | None, deadline_s: float) -> None:
        self.entry = entry
        self.control = ControlClient(entry.endpoint, keys=keys, server_key=entry.public_key if keys else None)
        self.clock_offset_ns = 0
        self._run, self._deadline_s = run, deadline_s
        self._best_round_trip_ns: int | None = None
        self._welcome: Welcome | None = None

    @property
    def name(self) -> str:
        """The board's name in the inventory."""
        return self.entry.name

    @property
    def welcome(self) -> Welcome:
        """What the board said of itself."""
        if self._welcome is None:
            raise BoardError(f"board {self.name} was not greeted yet")
        return self._welcome

    @property
    def data_endpoint(self) -> str:
        """Where the board takes tokens, as seen from the network its control connection runs on."""
        return reachable(self.welcome.data_endpoint, self.entry.endpoint)

    def greet(self) -> Welcome:
        """Open the session.

        Raises:
            LinkTimeout: nobody answers. LinkError: another protocol version. BoardError: the board refuses.
        """
        self.control.send(Hello(self._run, PROTOCOL_VERSION, __version__))
        welcome = self._expect(Welcome, self._deadline_s)
        if welcome.protocol != PROTOCOL_VERSION:
            raise LinkError(
                f"board {self.name} speaks protocol {welcome.protocol}, this host {PROTOCOL_VERSION}; install the same release"
            )
        self._welcome = welcome
        return welcome

    def ship(self, bundle: Bundle, blocks: tuple[str, ...]) -> int:
        """Send the files of these blocks that the board does not have; returns the bytes sent."""
        names = [n for n in bundle.manifest.files if n.split("/")[0] in blocks and not n.endswith("/golden.safetensors")]
        self.control.send(Offer(self._run, (bundle.path / MANIFEST).read_bytes(), tuple(names)))
        wanted = self._expect(Want, self._deadline_s)
        by_digest = {bundle.manifest.files[name].sha256: name for name in names}
        sent = 0
        for digest in wanted.sha256:
            if digest not in by_digest:
                raise BoardError(f"board {self.name} asks for a file that was not offered; install the same release there")
            sent += self._send_file(bundle, by_digest[digest], digest)
        return sent

    def _send_file(self, bundle: Bundle, name: str, digest: str) -> int:
        data = (bundle.path / name).read_bytes()
        for offset in range(0, max(1, len(data)), PIECE_BYTES):
            self.control.send(FilePiece(digest, offset, len(data), data[offset : offset + PIECE_BYTES]))
        return len(data)

    def assign(self, blocks: tuple[str, ...], neighbours: Neighbours) -> None:
        """Tell the board what to host; `await_ready` waits for it, so that all boards load at once."""
        entry = self.entry
        self.control.send(
            Assign(
                self._run,
                blocks,
                dict(neighbours.next_endpoint),
                dict(neighbours.next_key),
                neighbours.upstream_keys,
                entry.runtime,
                entry.threads,
            )
        )

    def await_ready(self) -> Ready:
        """Wait until the blocks are loaded."""
        return self._expect(Ready, LOAD_S)

    def stop(self, timeout_s: float) -> bool:
        """End the session; whether the board confirmed it in time."""
        self.control.send(Stop(self._run))
        deadline = time.monotonic() + timeout_s
        while (left := deadline - time.monotonic()) > 0:
            message = self.control.receive(left)
            if message is None or isinstance(message, Stopped):
                return message is not None
        return False

    def ping(self) -> None:
        """Send a heartbeat."""
        self.control.send(Ping(time.monotonic_ns()))

    def heard(self, pong: Pong) -> None:
        """Learn the clock offset from an answered heartbeat: assume that both ways took equally long."""
        now = time.monotonic_ns()
        round_trip = now - pong.sent_ns
        if self._best_round_trip_ns is None or round_trip < self._best_round_trip_ns:
            self._best_round_trip_ns = round_trip
            self.clock_offset_ns = pong.answered_ns - (pong.sent_ns + now) // 2

    def failed(self, failure: Failure) -> BoardError:
        """The error a board's Failure stands for."""
        return BoardError(f"board {self.name} at {self.entry.endpoint}: {failure.message}")

    def _expect(self, kind: type[M], limit_s: float) -> M:
        """Wait for a message of this class, keeping the session alive with heartbeats.

        Raises:
            LinkTimeout: silence for deadline_s, or nothing of this class within limit_s. BoardError: the board failed.
        """
        started = heard = time.monotonic()
        pinged = started
        while True:
            now = time.monotonic()
            if now - heard > self._deadline_s or now - started > limit_s:
                waited = max(now - heard, 0.0) if now - heard > self._deadline_s else now - started
                raise LinkTimeout(
                    f"board {self.name} at {self.entry.endpoint} did not answer within {waited:.0f} s{self.control.diagnosis()}"
                )
            if now - pinged >= _PING_S and self._welcome is not None:
                self.ping()
                pinged = now
            if not poll([self.control], _PING_S):
                continue
            message = self.control.receive(0.0)
            if message is None:
                continue
            heard = time.monotonic()
            if isinstance(message, kind):
                return message
            if isinstance(message, Failure):
                raise self.failed(message)
            if isinstance(message, Pong):
                self.heard(message)

    def close(self) -> None:
        """Close the control connection."""
        self.control.close()
