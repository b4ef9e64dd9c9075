"""What endpoints that listen have in common, and those that connect, whatever kind of messages they carry."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable

from edgebll.kernel.errors import WireError
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport.address import split_tcp
from edgebll.kernel.transport.connection_monitor import Monitor
from edgebll.kernel.transport.sockets import Endpoint
from edgebll.kernel.wire import Message
from edgebll.kernel.wire.codec import decode
from edgebll.kernel.wire.tensor_parts import Buffer

_log = logging.getLogger(__name__)


class ListeningEndpoint(Endpoint):
    """Listens for messages of any number of peers; what cannot be decoded is logged, counted and dropped.

    Args:
        kind: of the ZeroMQ socket.
        endpoint: address to listen on; port 0 or * takes a free one, which `endpoint` then says.
        keys: own key pair; needed off loopback.
        allowed: public keys that may connect (none, if not given).
        final: whether a peer that is refused stays refused.

    Attributes:
        malformed: messages dropped so far because they could not be decoded.

    Raises:
        LinkError: the port is in use or the address is not of this machine.
        ConfigError: off loopback without keys, or a malformed endpoint or key.
    """

    def __init__(self, kind: int, endpoint: str, keys: KeyPair | None, allowed: Iterable[str] | None, *, final: bool) -> None:
        super().__init__(kind, endpoint)
        self.malformed = 0
        try:
            self._set_options()
            self._bind(keys, allowed, final=final)
        except BaseException:
            self.close()
            raise

    def allow(self, public_keys: Iterable[str]) -> None:
        """Replace the keys that may connect; no effect on an unencrypted endpoint."""
        self._allow(public_keys)

    def _set_options(self) -> None:
        """Set what the socket needs before it is bound; by default nothing."""

    def _next_message(self, timeout_s: float, envelope: int = 0) -> tuple[list[Buffer], Message] | None:
        """The first `envelope` frames and the message of the next one that can be decoded, or None after `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        while (parts := self._receive_parts(timeout_s)) is not None:
            try:
                return parts[:envelope], decode(parts[envelope:])
            except WireError as error:
                self.malformed += 1
                _log.warning("%s dropped a message: %s", self.endpoint, error)
                self._dropped(parts[:envelope], error)
            timeout_s = deadline - time.monotonic()
        return None

    def _dropped(self, envelope: list[Buffer], error: WireError) -> None:
        """A message was dropped; by default nobody is told."""


class ConnectingEndpoint(Endpoint):
    """Connects to one peer in the background, and again after a break.

    Args:
        kind: of the ZeroMQ socket.
        endpoint: where the peer listens.
        keys: own key pair; on loopback it may be None.
        server_key: the peer's public key, where there are keys.

    Raises:
        ConfigError: off loopback without keys, or a malformed endpoint or key.
    """

    def __init__(self, kind: int, endpoint: str, keys: KeyPair | None, server_key: str | None) -> None:
        super().__init__(kind, endpoint)
        try:
            self._set_options()
            self._monitor = Monitor(self._socket, split_tcp(endpoint)[1])
            self._connect(keys, server_key)
        except BaseException:
            self.close()
            raise

    def _set_options(self) -> None:
        """Set what the socket needs before it connects; by default nothing."""

    @property
    def broken(self) -> bool:
        """Whether a connection that stood was cut, even if there is a new one: messages may be lost."""
        return self._monitor.broken

    @property
    def on_the_way(self) -> int:
        """Bytes the kernel has for the peer that are not confirmed yet; from any thread."""
        return self._monitor.unconfirmed

    def close(self, linger_s: float = 0.0) -> None:
        """Close, giving unsent messages at most `linger_s`."""
        if hasattr(self, "_monitor"):
            self._monitor.close()
        super().close(linger_s)
