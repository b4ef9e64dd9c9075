"""Who may connect: ZeroMQ's authentication protocol (ZAP, RFC 27) answered from a set of public keys."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable

import zmq
from zmq.utils import z85

from edgebll.kernel.keys import check_public_key
from edgebll.kernel.transport.rate_quota import Quota

_log = logging.getLogger(__name__)

_MAX_REMEMBERED = 1000
#: Lines about refused keys: so many at once, and so many more a second, however many keys strangers make up.
_WARNINGS, _WARNINGS_PER_SECOND = 20, 0.1


class AllowList(threading.Thread):
    """Answers every CURVE handshake of one context: yes to the keys of the set, no to all others.

    It ends by itself when the context is terminated.

    Args:
        context: whose servers it answers for.
        allowed: public keys to start with.
        where: the endpoint, for the log.
        final: whether a refused client is told so and gives up (400), or tries again and again (300).
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], allowed: Iterable[str], where: str, final: bool) -> None:
        super().__init__(name="edgebll-allow", daemon=True)
        self.where, self._final = where, final
        self._keys: frozenset[bytes] = frozenset()
        self._users: frozenset[str] = frozenset()
        self._refused: set[bytes] = set()  # those warned about already
        self._words = Quota(_WARNINGS, _WARNINGS_PER_SECOND)
        self.allow(allowed)
        self._socket = context.socket(zmq.REP)
        self._socket.bind("inproc://zeromq.zap.01")
        self.start()

    def allow(self, public_keys: Iterable[str]) -> None:
        """Replace the set of allowed keys. Connections that stand are not cut; whoever reads from them asks `knows`."""
        public_keys = tuple(public_keys)
        self._users = frozenset(public_keys)
        self._keys = frozenset(z85.decode(check_public_key(key).encode("ascii")) for key in public_keys)

    def knows(self, user_id: str) -> bool:
        """Whether the key a connection was let in with (its ZAP user id) is still allowed."""
        return user_id in self._users

    def run(self) -> None:
        """Answer requests until the context is terminated."""
        try:
            while True:
                self._socket.send_multipart(self._answer(self._socket.recv_multipart()))
        except zmq.ContextTerminated:
            pass
        finally:
            self._socket.close(linger=0)

    def _answer(self, request: list[bytes]) -> list[bytes]:
        # [version, request id, domain, address, identity, mechanism, credentials...]; made by libzmq, so well-formed.
        version, request_id, mechanism = request[0], request[1], request[5]
        key = request[6] if len(request) > 6 else b""
        if mechanism == b"CURVE" and key in self._keys:
            return [version, request_id, b"200", b"OK", z85.encode(key), b""]
        if key not in self._refused and self._words.take():
            if len(self._refused) >= _MAX_REMEMBERED:
                self._refused.clear()
            self._refused.add(key)
            self._warn(key, request[3])
        return [version, request_id, b"400" if self._final else b"300", b"key not allowed", b"", b""]

    def _warn(self, key: bytes, address: bytes) -> None:
        shown = z85.encode(key).decode() if len(key) == 32 else "none"
        _log.warning("%s refused a peer at %s whose key is not allowed: %s", self.where, address.decode(), shown)


def user_of(frame: zmq.Frame) -> str:
    """The public key (Z85) of whoever sent a frame, as the handshake proved it; empty if it did not."""
    try:
        return str(frame.get("User-Id"))
    except zmq.ZMQError:
        return ""
