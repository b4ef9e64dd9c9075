"""What became of a connection: ZeroMQ connects in the background and says so only to those who listen."""

from __future__ import annotations

import contextlib
import socket as sockets

import zmq
from zmq.utils.monitor import recv_monitor_message

from edgebll.kernel.transport.tcp_connections import own_connection
from edgebll.kernel.transport.tcp_progress import traffic, unconfirmed

_FAILED = zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_WATCHED = _FAILED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_CONNECTED | zmq.EVENT_DISCONNECTED


class Monitor:
    """Watches one connecting socket. Make it before the socket connects; close it before the socket.

    Args:
        socket: the socket.
        port: where it connects to.
    """

    def __init__(self, socket: zmq.Socket[bytes], port: str) -> None:
        self._socket, self._port = socket, int(port) if port.isdecimal() else 0
        self._connection: sockets.socket | None = None  # a descriptor of our own
        self._events = socket.get_monitor_socket(_WATCHED)
        self._events.rcvhwm = 0
        self._last = 0
        self._greeted = self._broken = False

    @property
    def pollable(self) -> zmq.Socket[bytes]:
        """The socket that has something to receive when there is news of the connection, for `poll`."""
        return self._events

    @property
    def broken(self) -> bool:
        """Whether a connection that stood was cut, even if there is a new one: what was under way may be lost."""
        self._take_news()
        return self._broken

    def _take_news(self) -> None:
        while self._events.poll(0):
            news = recv_monitor_message(self._events)
            event = news["event"]
            if event == zmq.EVENT_CONNECTED:
                self._hold(own_connection(news["value"], self._port))
            elif event == zmq.EVENT_DISCONNECTED:
                self._hold(None)
            # A failed handshake is followed by a disconnection and another try: the failure is what matters.
            if event not in (zmq.EVENT_DISCONNECTED, zmq.EVENT_CONNECTED) or not self._last & _FAILED:
                self._last = event
            self._greeted |= event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self._broken |= self._greeted and event == zmq.EVENT_DISCONNECTED

    def _hold(self, connection: sockets.socket | None) -> None:
        earlier, self._connection = self._connection, connection
        if earlier is not None:
            earlier.close()

    @property
    def traffic(self) -> tuple[int, int]:
        """Bytes the other side has acknowledged and sent on the present connection; looks for news of it first."""
        self._take_news()
        return traffic(self._connection) if self._connection is not None else (0, 0)

    @property
    def unconfirmed(self) -> int:
        """Bytes that are on their way to the other side, as far as the kernel has them; from any thread."""
        connection = self._connection
        with contextlib.suppress(OSError, ValueError):  # closed this moment
            return unconfirmed(connection) if connection is not None else 0
        return 0

    def diagnosis(self) -> str:
        """The likely reason for silence, to append to a sentence that says where and how long."""
        self._take_news()
        if self._last & _FAILED:
            return "; the other side refused the key, or only one side has keys"
        if self._greeted:
            broken = self._last == zmq.EVENT_DISCONNECTED
            return "; the connection broke" if broken else "; the connection stands, but the other side is silent"
        if self._last:
            return "; something listens there but hangs up: is this side's key allowed there, and do both sides use keys?"
        return "; is a board serving at that address?"

    def close(self) -> None:
        """Stop watching."""
        self._hold(None)
        if not self._events.closed:
            self._socket.disable_monitor()
            self._events.close(linger=0)
