"""Bounds what strangers can take from a listening socket before they have proved who they are.

libzmq takes every TCP connection, however many, and takes memory for a frame as soon as a peer announces it, even one whose
handshake is not over. The gate hears of every connection and cuts those that are too many, too slow or too talkative before
their handshake; a connection that has passed is left alone.

Whether it has passed shows in the bytes the peer has acknowledged: a server of ZeroMQ's CURVE sends a greeting (64 bytes),
WELCOME (170) and, to a key that is not allowed, ERROR (12), but to an allowed one READY (52 or more; ZMTP 3.1, RFC 23 and 25).
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import struct
import sys
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

import zmq

from edgebll.kernel.transport.rate_quota import Quota
from edgebll.kernel.transport.tcp_connections import again, connection
from edgebll.kernel.transport.tcp_progress import traffic

_log = logging.getLogger(__name__)

#: A handshake that takes longer is cut.
HANDSHAKE_S = 5.0
#: Connections whose handshake is not over, all together; the oldest makes room.
MAX_PENDING = 128
#: Handshakes one address may leave unfinished: so many at once, and so many more a second. A knocking neighbour needs two.
BURST, PER_SECOND = 64, 8.0
#: A handshake is 600 bytes.
MAX_UNPROVED_BYTES = 4096
_UNPROVED_ACKED = 64 + 170 + 12
_LOOK_MS, _IDLE_MS = 50, 1000
_MAX_ADDRESSES = 1024
_ADDRESS = "inproc://edgebll-gate"
_EVENT = struct.Struct("=HI")
_WATCHED = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_ACCEPT_FAILED


@dataclass
class _Pending:
    """A connection whose handshake is not over, by a descriptor of our own."""

    own: socket.socket
    address: str
    since: float


class Gate(threading.Thread):
    """Watches one listening socket; it ends by itself when the socket's context is terminated.

    Args:
        context: of the socket; the gate ends with it.
        listener: the socket with CURVE, bound.
        port: where it listens.

    Attributes:
        cut: connections cut so far.
        pending: connections whose handshake is not over.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], listener: zmq.Socket[bytes], port: int) -> None:
        super().__init__(name="edgebll-gate", daemon=True)
        self.cut = 0
        self._port = port
        self._pending: dict[int, _Pending] = {}
        self._quotas: OrderedDict[str, Quota] = OrderedDict()
        self._words = Quota(5, 0.1)
        listener.monitor(_ADDRESS, _WATCHED)
        self._events = context.socket(zmq.PAIR)
        self._events.rcvhwm = 0
        self._events.linger = 0
        self._events.connect(_ADDRESS)
        self.start()

    @staticmethod
    def works_here() -> bool:
        """Whether the system tells what the gate needs to know."""
        return sys.platform == "linux"

    @property
    def pending(self) -> int:
        """Connections whose handshake is not over, as of the last look."""
        return len(self._pending)

    def run(self) -> None:
        """Watch until the context is terminated."""
        try:
            while True:
                if self._events.poll(_LOOK_MS if self._pending else _IDLE_MS):
                    self._take(self._events.recv_multipart())
                self._look()
        except zmq.ContextTerminated:
            pass
        finally:
            for number in list(self._pending):
                self._forget(number)
            self._events.close(linger=0)

    def _take(self, event: list[bytes]) -> None:
        """Take all events that are there."""
        looked = time.monotonic()
        while True:
            kind, number = _EVENT.unpack(event[0])
            if kind == zmq.EVENT_ACCEPTED:
                self._accepted(number)
            elif kind == zmq.EVENT_ACCEPT_FAILED:
                self._say("cannot take a connection (%s)", number)
            else:
                self._forget(number)
            if not self._events.poll(0) or time.monotonic() - looked > _LOOK_MS / 1000:
                return
            event = self._events.recv_multipart()

    def _accepted(self, number: int) -> None:
        self._forget(number)  # the number was used before; its end was not told yet
        with connection(number, self._port) as found:
            if found is None:
                return
            try:
                address, own = _network(found.getpeername()[0]), again(found)
            except OSError:
                return  # gone, or no descriptor left: then libzmq has its own limits
        self._pending[number] = _Pending(own, address, time.monotonic())
        if not self._quota(address).take():
            self._cut(number, "has left too many handshakes unfinished")
        elif len(self._pending) > MAX_PENDING:
            self._look()
            if len(self._pending) > MAX_PENDING:
                self._cut(next(iter(self._pending)), "made room for later ones")

    def _look(self) -> None:
        """Let go of those who have passed, cut those who take too long or too much."""
        now = time.monotonic()
        for number, peer in list(self._pending.items()):
            acked, received = traffic(peer.own)
            if acked > _UNPROVED_ACKED:
                self._quota(peer.address).give_back()
                self._forget(number)
            elif received > MAX_UNPROVED_BYTES:
                self._cut(number, "sent too much before its handshake was over")
            elif now - peer.since > HANDSHAKE_S:
                self._cut(number, "took too long for its handshake")

    def _cut(self, number: int, why: str) -> None:
        peer = self._pending[number]
        with contextlib.suppress(OSError):  # it went by itself
            peer.own.shutdown(socket.SHUT_RDWR)
        self.cut += 1
        self._say(f"cut a connection from %s, which {why}", peer.address)
        self._forget(number)

    def _forget(self, number: int) -> None:
        peer = self._pending.pop(number, None)
        if peer is not None:
            peer.own.close()

    def _quota(self, address: str) -> Quota:
        quota = self._quotas.pop(address, None) or Quota(BURST, PER_SECOND)
        self._quotas[address] = quota  # as the one used last
        if len(self._quotas) > _MAX_ADDRESSES:
            self._quotas.popitem(last=False)
        return quota

    def _say(self, text: str, *values: object) -> None:
        """Log, but not as often as strangers would have it."""
        if self._words.take():
            _log.warning(f"port %d {text}; %d so far", self._port, *values, self.cut)


def _network(address: str) -> str:
    """What counts as one peer: an IPv4 address, or the network of 2^64 addresses an IPv6 peer has to choose from."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
