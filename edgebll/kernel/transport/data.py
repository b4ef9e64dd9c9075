"""Data connections: tokens from one sender to one board, in order, as fast as the window allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import zmq

from edgebll.kernel.errors import LinkTimeout
from edgebll.kernel.keys import KeyPair
from edgebll.kernel.transport.connection_monitor import Monitor
from edgebll.kernel.transport.endpoint_roles import ConnectingEndpoint, ListeningEndpoint
from edgebll.kernel.wire import Message
from edgebll.kernel.wire.codec import encode, payload_bytes

_HANDSHAKE_MS = 1000
_DRAIN_LOOK_S = 0.005
#: See Sender.
DEAD_S = 10.0


class Sender(ConnectingEndpoint):
    """Sends messages to one `Receiver`; connects in the background.

    It connects again after a break, so that it notices what there is, but what was under way may be lost then: who needs every
    message looks at `broken` and makes a new sender.

    Args:
        endpoint: where the receiver listens.
        keys: own key pair; None only on loopback.
        server_key: the receiver's public key; None exactly where `keys` is.
        dead_s: seconds without any sign of the other machine after which the connection counts as cut.
        spikes: whether the receiver decodes `spike_coding`s; default no.

    Attributes:
        sent_bytes: of tensors, as they travelled.
        unpacked_bytes: of the same tensors as they are.

    Raises:
        ConfigError: off loopback without keys, or a malformed endpoint or key.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        keys: KeyPair | None = None,
        server_key: str | None = None,
        dead_s: float = DEAD_S,
        spikes: bool = False,
    ) -> None:
        self._dead_s, self._spikes = dead_s, spikes
        self.sent_bytes = self.unpacked_bytes = 0
        super().__init__(zmq.PUSH, endpoint, keys, server_key)

    def _set_options(self) -> None:
        self._notice_silence(self._dead_s)
        self._socket.immediate = True  # queue only on a connection that stands, so that a missing peer is noticed

    @property
    def news(self) -> Monitor:
        """What to `poll` for to look at `broken` in time."""
        return self._monitor

    @property
    def acknowledged(self) -> int:
        """Bytes the other side's kernel has confirmed on the present connection."""
        return self._monitor.traffic[0]

    def _notice_silence(self, dead_s: float) -> None:
        """Let the kernel cut a connection whose other end confirms nothing: it does so for a busy or blocked process too."""
        socket = self._socket
        socket.tcp_keepalive = 1
        socket.tcp_keepalive_idle = socket.tcp_keepalive_intvl = max(1, round(dead_s / 4))
        socket.tcp_keepalive_cnt = 3
        socket.setsockopt(zmq.TCP_MAXRT, round(dead_s * 1000))

    def send(self, message: Message, timeout_s: float) -> None:
        """Hand a message to the link; large tensors are not copied, so they must not change afterwards.

        Raises:
            LinkTimeout: there was no connection within `timeout_s`.
        """
        timeout_ms = max(0, round(timeout_s * 1000))
        if timeout_ms != self._timeout_ms:
            self._socket.sndtimeo = self._timeout_ms = timeout_ms
        parts = encode(message, spikes=self._spikes)
        try:
            self._socket.send_multipart(parts, copy=False)
        except zmq.Again as error:
            raise LinkTimeout(f"no connection to {self.endpoint} within {timeout_s:g} s{self._monitor.diagnosis()}") from error
        self.sent_bytes += sum(map(len, parts[1:]))
        self.unpacked_bytes += payload_bytes(message)

    def drain(self, patience_s: float, stopped: Callable[[], bool] = lambda: False) -> None:
        """Wait until what was sent has arrived, however long a slow link takes: as long as something moves.

        Args:
            patience_s: how long nothing may move.
            stopped: whether nobody waits for it any more.
        """
        acknowledged, moved_s, empty = self.acknowledged, time.monotonic(), 0
        while empty < 2 and not stopped() and not self.broken and time.monotonic() - moved_s < patience_s:
            time.sleep(_DRAIN_LOOK_S)
            empty = 0 if self.on_the_way else empty + 1  # twice: libzmq may just have had more to hand on
            if self.acknowledged != acknowledged:
                acknowledged, moved_s = self.acknowledged, time.monotonic()


class Receiver(ListeningEndpoint):
    """Listens for messages of any number of senders.

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
        super().__init__(zmq.PULL, endpoint, keys, allowed, final=False)

    def _set_options(self) -> None:
        # A neighbour may knock before the host has named its key, so a refused one tries again. libzmq may leave it
        # hanging after the first refusal: a short limit on handshakes ends that.
        self._socket.handshake_ivl = _HANDSHAKE_MS

    def receive(self, timeout_s: float) -> Message | None:
        """Next message, or None after `timeout_s`; malformed ones are logged, counted and dropped."""
        found = self._next_message(timeout_s)
        return None if found is None else found[1]
