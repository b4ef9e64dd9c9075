"""The host's side of one board: its control connection, what it said of itself, and its clock."""

from __future__ import annotations

import contextlib
import time

from edgebll.kernel.errors import BoardError, ConfigError, EdgebllError, LinkError, WireError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport import ControlClient, reachable
from edgebll.kernel.version import __version__
from edgebll.kernel.wire import PROTOCOL_VERSION, Capabilities, Failure, Hello, Message, Ping, Pong, Stop, Welcome
from edgebll_firmware_host.inventory import BoardEntry

#: How long a last word may take on its way out of this machine.
_FAREWELL_S = 0.2
#: More than heartbeats and orders, so that it takes a while on a slow link.
_BULK_BYTES = 64 << 10


def twice(where: str, other: str = "") -> str:
    """A sentence for an agent that is listed under two names, the other of which may be known."""
    named = f"board {other}" if other else "another board of the inventory"
    return f"{where} is the same agent as {named}; list each agent once, under one name and address"


class BoardLink:
    """A board as the host talks to it; nothing here waits. Close it when done.

    Args:
        entry: the board.
        run: identifier of the run.
        incarnation: which incarnation of the run this session is; default 0.
        keys: the host's key pair, if encrypted.

    Attributes:
        control: the control connection.
        threads: of the board's training steps, as `thread_cap` decides.
        doubt: why the board may have vanished, to append to a sentence; empty where nothing speaks for anything.
        capabilities: what the board said it can do beside the protocol; nothing before it was asked, and of an older one.
        clock_offset_ns: the board's monotonic clock minus the host's, from the quickest heartbeat so far.
        acknowledged_ns: `sent_ns` of the latest answered heartbeat; whatever was sent before that heartbeat has been handled,
            since a board takes messages in order.

    Raises:
        ConfigError: off loopback without keys, or a malformed endpoint or key.
    """

    def __init__(self, entry: BoardEntry, run: str, keys: KeyPair | None, incarnation: int = 0) -> None:
        self.entry, self.run, self.incarnation = entry, run, incarnation
        self.control = ControlClient(entry.endpoint, keys=keys, server_key=entry.public_key if keys else None)
        self.threads, self.doubt = entry.threads, ""
        self.capabilities: frozenset[str] = frozenset()
        self.clock_offset_ns = 0
        self.acknowledged_ns = 0
        self._best_round_trip_ns: int | None = None
        self._welcome: Welcome | None = None
        self._traffic = 0, 0

    @property
    def name(self) -> str:
        """The board's name in the inventory."""
        return self.entry.name

    @property
    def where(self) -> str:
        """The board in messages: its name and its address."""
        return f"board {self.name} at {self.entry.endpoint}"

    @property
    def welcome(self) -> Welcome:
        """What the board said of itself."""
        if self._welcome is None:
            raise BoardError(f"{self.where} was not greeted yet")
        return self._welcome

    @property
    def data_endpoint(self) -> str:
        """Where the board takes tokens, as seen from the network its control connection runs on."""
        return reachable(self.welcome.data_endpoint, self.entry.endpoint)

    def say_hello(self) -> None:
        """Ask for a session; the board answers with a Welcome, or a Failure if it works for another host."""
        self.send(Hello(self.run, PROTOCOL_VERSION, __version__, incarnation=self.incarnation))

    def accept(self, welcome: Welcome) -> None:
        """Take the board's Welcome.

        Raises:
            LinkError: it speaks another version of the protocol. ConfigError: it does not have the runtime asked for.
        """
        if welcome.protocol != PROTOCOL_VERSION:
            raise LinkError(
                f"{self.where} speaks protocol {welcome.protocol}, this host {PROTOCOL_VERSION}; update the older one"
            )
        if self.entry.runtime not in welcome.runtimes:
            has = ", ".join(welcome.runtimes) or "none"
            raise ConfigError(f"{self.where} has no runtime {self.entry.runtime!r}, only {has}; choose one it has")
        self._welcome = welcome

    def send(self, message: Message) -> None:
        """Queue a message; never waits.

        Raises:
            LinkError: the board has refused this connection for good.
        """
        try:
            self.control.send(message)
        except LinkError as error:
            raise LinkError(f"board {self.name}: {error}") from error

    def receive(self) -> Message | None:
        """The next message that has arrived, or None; of Capabilities it keeps what they say.

        Raises:
            WireError: the board sent something that is not a message of this protocol.
        """
        try:
            message = self.control.receive(0.0)
        except WireError as error:
            raise WireError(f"{self.where}: {error}") from error
        if isinstance(message, Capabilities):
            self.capabilities = frozenset(message.names)
        return message

    def moves(self) -> bool:
        """Whether bytes of a message came since the last look, or of large ones to the board arrived there.

        Over a slow link one message takes long, and whatever follows it waits. What the board's kernel confirms of small
        messages says nothing: it does so for a frozen process, too.
        """
        before, self._traffic = self._traffic, self.control.traffic
        bulk = self.control.on_the_way > _BULK_BYTES
        return self._traffic[1] > before[1] or (bulk and self._traffic[0] > before[0])

    def ping(self) -> int:
        """Send a heartbeat; returns its `sent_ns`, to be compared with `acknowledged_ns`."""
        sent_ns = time.monotonic_ns()
        self.send(Ping(sent_ns))
        return sent_ns

    def heard(self, pong: Pong) -> None:
        """Learn from an answered heartbeat; the clock offset assumes that both ways took equally long."""
        now = time.monotonic_ns()
        self.acknowledged_ns = max(self.acknowledged_ns, pong.sent_ns)
        round_trip = now - pong.sent_ns
        if self._best_round_trip_ns is None or round_trip < self._best_round_trip_ns:
            self._best_round_trip_ns = round_trip
            self.clock_offset_ns = pong.answered_ns - (pong.sent_ns + now) // 2

    def failed(self, failure: Failure) -> EdgebllError:
        """The error a board's Failure stands for."""
        own_name = f"board {self._welcome.name if self._welcome is not None else self.name}"
        message = f"{self.where}: {failure.message.removeprefix(f'{own_name}: ').removeprefix(f'{own_name} ')}"
        return LinkError(message) if failure.code == LinkError.exit_code else BoardError(message)

    def let_go(self) -> None:
        """Tell the board that its session is over, and close the connection without waiting for an answer."""
        with contextlib.suppress(LinkError):
            self.send(Stop(self.run, incarnation=self.incarnation))
        self.control.close(_FAREWELL_S)

    def close(self) -> None:
        """Close the control connection."""
        self.control.close()
