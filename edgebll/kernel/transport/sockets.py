"""What all four endpoints share: opening, securing, waiting and closing a ZeroMQ socket."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import zmq

from edgebll.kernel.errors import ConfigError, LinkError
from edgebll.kernel.keys import KeyPair, check_public_key
from edgebll.kernel.spec.manifest import MAX_TENSOR_BYTES
from edgebll.kernel.transport.address import check_security, split_tcp
from edgebll.kernel.transport.connection_limits import HANDSHAKE_S, Gate
from edgebll.kernel.transport.name_resolution import check_interface, needs_ipv6
from edgebll.kernel.transport.tcp_connections import cut
from edgebll.kernel.transport.zap_authentication import AllowList, user_of
from edgebll.kernel.wire.tensor_parts import Buffer

_RECONNECT_MS, _RECONNECT_MAX_MS = 50, 500


class Pollable(Protocol):
    """Anything `poll` can wait for."""

    @property
    def pollable(self) -> zmq.Socket[bytes] | int:
        """A ZeroMQ socket or a file descriptor."""


P = TypeVar("P", bound=Pollable)


def poll(endpoints: Sequence[P], timeout_s: float) -> list[P]:
    """Wait until at least one endpoint has something to receive, at most `timeout_s`; return those that have."""
    poller = zmq.Poller()
    for endpoint in endpoints:
        poller.register(endpoint.pollable, zmq.POLLIN)
    ready = {key for key, _ in poller.poll(max(0, round(timeout_s * 1000)))}
    return [endpoint for endpoint in endpoints if endpoint.pollable in ready]


class Wakeup:
    """Lets another thread, or a signal handler, end a `poll`."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        self._closed = False
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    @property
    def pollable(self) -> int:
        """The descriptor that becomes readable."""
        return self._read

    def set(self) -> None:
        """Wake the poller; safe from any thread and from signal handlers, and without effect once closed."""
        if self._closed:
            return
        with contextlib.suppress(BlockingIOError):  # full: it will wake anyway
            os.write(self._write, b"w")

    def clear(self) -> None:
        """Forget all wake-ups so far."""
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._read, 4096)) == 4096:
                pass

    def close(self) -> None:
        """Free the descriptors. Twice is allowed."""
        if self._closed:
            return
        self._closed = True
        os.close(self._read)
        os.close(self._write)


class Endpoint:
    """A ZeroMQ socket with a context of its own. Base of the four endpoints; use as a context manager or `close` it.

    Attributes:
        endpoint: the address it is bound or connected to.
    """

    def __init__(self, kind: int, endpoint: str) -> None:
        split_tcp(endpoint)
        self.endpoint = endpoint
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(io_threads=1)
        self._socket = self._context.socket(kind)
        self._allow_list: AllowList | None = None
        self._gate: Gate | None = None
        self._timeout_ms = -1
        socket = self._socket
        socket.linger = 0
        socket.sndhwm = socket.rcvhwm = 0  # never drop, never block on a count
        socket.maxmsgsize = MAX_TENSOR_BYTES  # a longer frame cuts the connection before memory is taken
        socket.reconnect_ivl, socket.reconnect_ivl_max = _RECONNECT_MS, _RECONNECT_MAX_MS
        socket.ipv6 = needs_ipv6(endpoint)

    @property
    def pollable(self) -> zmq.Socket[bytes]:
        """The socket, for `poll`."""
        return self._socket

    def close(self, linger_s: float = 0.0) -> None:
        """Close, giving unsent messages at most `linger_s`; the port is free when this returns. Twice is allowed."""
        if self._socket.closed:
            return
        self._socket.close(linger=round(linger_s * 1000))
        self._context.term()
        if self._allow_list is not None:
            self._allow_list.join()
        if self._gate is not None:
            self._gate.join()

    def __enter__(self: E) -> E:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive_parts(self, timeout_s: float) -> list[Buffer] | None:
        timeout_ms = max(0, round(timeout_s * 1000))
        if timeout_ms != self._timeout_ms:
            self._socket.rcvtimeo = self._timeout_ms = timeout_ms
        try:
            frames = self._socket.recv_multipart(copy=False)
            while self._allow_list is not None and not self._allow_list.knows(user_of(frames[-1])):
                cut(int(frames[-1].get(zmq.SRCFD)), int(split_tcp(self.endpoint)[1]))  # its key was revoked
                frames = self._socket.recv_multipart(copy=False)
        except zmq.Again:
            return None
        return [frame.buffer for frame in frames]

    def _bind(self, keys: KeyPair | None, allowed: Iterable[str] | None, *, final: bool) -> None:
        check_security(self.endpoint, keys)
        if keys is not None:
            self._allow_list = AllowList(self._context, allowed or (), self.endpoint, final)
            self._socket.curve_server = True
            self._socket.handshake_ivl = min(self._socket.handshake_ivl, round(HANDSHAKE_S * 1000))
            self._socket.curve_publickey = keys.public.encode("ascii")
            self._socket.curve_secretkey = keys.secret.encode("ascii")
        elif allowed:
            raise ConfigError(f"{self.endpoint} allows keys but has none of its own; give it a key file")
        port = split_tcp(self.endpoint)[1]
        try:
            own = "[::1]" if self._socket.ipv6 else "127.0.0.1"
            self._socket.bind(self.endpoint.replace("//localhost:", f"//{own}:"))
        except zmq.ZMQError as error:
            raise LinkError(_bind_problem(error, self.endpoint, port)) from error
        self.endpoint = self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        if self._allow_list is not None:
            self._allow_list.where = self.endpoint
            if Gate.works_here():
                self._gate = Gate(self._context, self._socket, int(split_tcp(self.endpoint)[1]))

    def _allow(self, public_keys: Iterable[str]) -> None:
        if self._allow_list is not None:
            self._allow_list.allow(public_keys)

    def _connect(self, keys: KeyPair | None, server_key: str | None) -> None:
        check_security(self.endpoint, keys)
        if (keys is None) != (server_key is None):
            raise ConfigError(f"an encrypted link to {self.endpoint} needs both an own key and the board's public key")
        if keys is not None and server_key is not None:
            self._socket.curve_publickey = keys.public.encode("ascii")
            self._socket.curve_secretkey = keys.secret.encode("ascii")
            self._socket.curve_serverkey = check_public_key(server_key).encode("ascii")
        check_interface(self.endpoint)
        try:
            self._socket.connect(self.endpoint)
        except zmq.ZMQError as error:
            raise LinkError(f"cannot connect to {self.endpoint}: {error.strerror}; check the address") from error


E = TypeVar("E", bound=Endpoint)


def _bind_problem(error: zmq.ZMQError, endpoint: str, port: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{endpoint} is in use by another program; stop it or choose another port"
    if error.errno == errno.EACCES:
        return f"{endpoint} may not be used: port {port} needs privileges; choose one above 1023"
    if error.errno in (errno.ENODEV, errno.EADDRNOTAVAIL):
        return f"{endpoint} is not an address of this machine; listen on one that is"
    return f"cannot listen on {endpoint}: {error.strerror}"
