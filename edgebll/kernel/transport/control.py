"""Control connections: one host, many boards; everything but tokens."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable

import zmq

from edgebll.kernel.errors import LinkError, WireError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport.endpoint_roles import ConnectingEndpoint, ListeningEndpoint
from edgebll.kernel.wire import Failure, Message
from edgebll.kernel.wire.codec import decode, encode
from edgebll.kernel.wire.tensor_parts import Buffer

_log = logging.getLogger(__name__)


class ControlServer(ListeningEndpoint):
    """The board's end: listens, and knows its peers apart.

    Args:
        endpoint: address to listen on; port 0 or * takes a free one, which `endpoint` then says.
        keys: own key pair; needed off loopback.
        allowed: public keys that may connect (none, if not given).

    Attributes:
        malformed: messages dropped so far because they could not be decoded.

    Raises:
        LinkError: the port is in use or the address is not of this machine.
        ConfigError: off loopback without keys, or a malformed endpoint or key.
    """

    def __init__(self, endpoint: str, *, keys: KeyPair | None = None, allowed: Iterable[str] | None = None) -> None:
        super().__init__(zmq.ROUTER, endpoint, keys, allowed, final=True)

    def _set_options(self) -> None:
        self._socket.router_mandatory = True  # say so when a peer is gone, do not drop
        self._socket.router_handover = True  # a peer that reconnects keeps its identity

    def receive(self, timeout_s: float) -> tuple[bytes, Message] | None:
        """Next message and who sent it, or None after `timeout_s`.

        A message that cannot be decoded is logged, counted, answered with a Failure and dropped.
        """
        found = self._next_message(timeout_s, envelope=1)
        return None if found is None else (bytes(found[0][0]), found[1])

    def _dropped(self, envelope: list[Buffer], error: WireError) -> None:
        try:
            self.send(bytes(envelope[0]), Failure(run="", code=error.exit_code, message=str(error)))
        except LinkError:
            _log.warning("%s could not answer: the peer is gone", self.endpoint)

    def send(self, peer: bytes, message: Message) -> None:
        """Send to one peer; never waits.

        Raises:
            LinkError: the peer is not connected any more.
        """
        try:
            self._socket.send_multipart([peer, *encode(message)], flags=zmq.DONTWAIT, copy=False)
        except zmq.ZMQError as error:
            raise LinkError(f"{self.endpoint} cannot answer: its peer is gone") from error


class ControlClient(ConnectingEndpoint):
    """The host's end: one board's control connection.

    Args:
        endpoint: where the board listens.
        keys: the host's own key pair; None only on loopback.
        server_key: the board's public key; None exactly where `keys` is.

    Raises:
        ConfigError: off loopback without keys, or a malformed endpoint or key.
    """

    def __init__(self, endpoint: str, *, keys: KeyPair | None = None, server_key: str | None = None) -> None:
        super().__init__(zmq.DEALER, endpoint, keys, server_key)

    def _set_options(self) -> None:
        self._socket.routing_id = uuid.uuid4().hex.encode("ascii")  # stays the same over a reconnection

    def send(self, message: Message) -> None:
        """Queue a message; never waits. Whether it arrives shows in the answers (`receive`, `diagnosis`).

        Raises:
            LinkError: the board has refused this connection for good.
        """
        try:
            self._socket.send_multipart(encode(message), flags=zmq.DONTWAIT, copy=False)
        except zmq.Again as error:  # there is not even a connection to wait for
            raise LinkError(f"{self.endpoint} takes no messages{self.diagnosis()}") from error

    def receive(self, timeout_s: float) -> Message | None:
        """Next message, or None after `timeout_s`.

        Raises:
            WireError: the board sent something that is not a message of this protocol.
        """
        parts = self._receive_parts(timeout_s)
        return None if parts is None else decode(parts)

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes the board has acknowledged and sent on the present connection, parts of messages too."""
        return self._monitor.traffic

    def diagnosis(self) -> str:
        """Why nothing may have come, to append to a sentence: "; is a board listening there?" and the like."""
        return self._monitor.diagnosis()
