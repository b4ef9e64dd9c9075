"""The exchange of pairing.py over TCP: a board waits for one host, a host calls one board. Every wait has a deadline.

Before a peer has sent a whole opening it costs the board one of few places and at most one line of memory. The first one that
has gets the only attempt.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from dataclasses import dataclass, field

from edgebll.kernel.errors import LinkError, LinkTimeout, WireError
from edgebll.kernel.pairing.code_exchange import (
    MAX_LINE_BYTES,
    Confirmation,
    Opening,
    Side,
    decode_confirmation,
    decode_opening,
    encode_line,
)
from edgebll.kernel.transport.address import split_tcp

#: Peers that may be about to say who they are; the one that waits longest makes room.
MAX_WAITING = 16
_OPENING_S = 5.0
_ANSWER_S = 10.0
_AGAIN = "run `edgebll-board pair` again, which shows a new code"


@dataclass
class _Caller:
    """A peer that has not said who it is yet."""

    connection: socket.socket
    since: float
    line: bytearray = field(default_factory=bytearray)


class PairingServer:
    """The board's end; a context manager.

    Args:
        endpoint: tcp://HOST:PORT to listen on; port 0 or * takes a free one, which `endpoint` then says.

    Raises:
        ConfigError: a malformed endpoint. LinkError: the port is in use, or no address of this machine.
    """

    def __init__(self, endpoint: str) -> None:
        host, port = split_tcp(endpoint)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(("" if host == "*" else host, 0 if port == "*" else int(port)))
            self._socket.listen(MAX_WAITING)
            self._socket.setblocking(False)
        except OSError as error:
            self._socket.close()
            raise LinkError(f"cannot listen on {endpoint}: {error.strerror}; choose another address with --listen") from error
        self.endpoint = f"tcp://{f'[{host}]' if ':' in host else host}:{self._socket.getsockname()[1]}"

    def pair(self, side: Side, limit_s: float) -> Opening:
        """Wait for a host and let it make one attempt.

        Returns:
            What the host said of itself, now known to come from somebody who knows the code.

        Raises:
            LinkTimeout: nobody came in time. LinkError: somebody did, and did not know the code.
        """
        connection, opening = self._await_opening(limit_s)
        with connection:
            connection.settimeout(_ANSWER_S)
            try:
                side.take(opening)
                connection.sendall(encode_line(side.opening))
                if not side.check(decode_confirmation(_read_line(connection))):
                    raise LinkError("the proof was wrong")
            except (OSError, WireError, LinkError) as error:
                raise LinkError(
                    f"somebody tried to pair without knowing the code, as {opening.name}; if it was not you, mind your "
                    f"network; {_AGAIN}"
                ) from error
            with contextlib.suppress(OSError):  # the host is right, whether it hears the end or not
                connection.sendall(encode_line(side.confirm()))
        return opening

    def _await_opening(self, limit_s: float) -> tuple[socket.socket, Opening]:
        deadline = time.monotonic() + limit_s
        callers: dict[int, _Caller] = {}
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            try:
                while (left_s := deadline - time.monotonic()) > 0:
                    for key, _ in selector.select(min(left_s, 1.0)):
                        if key.fileobj is self._socket:
                            self._accept(selector, callers)
                        elif (opening := _advance(callers[key.fd])) is not None:
                            if isinstance(opening, Opening):
                                selector.unregister(key.fd)
                                return callers.pop(key.fd).connection, opening
                            _drop(selector, callers, key.fd)
                    for number in [n for n, c in callers.items() if time.monotonic() - c.since > _OPENING_S]:
                        _drop(selector, callers, number)
            finally:
                for caller in callers.values():
                    caller.connection.close()
        raise LinkTimeout(f"no host came within {limit_s:.0f} s, and the code is not valid any more; {_AGAIN}")

    def _accept(self, selector: selectors.BaseSelector, callers: dict[int, _Caller]) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._socket.accept()
            connection.setblocking(False)
            if len(callers) >= MAX_WAITING:
                _drop(selector, callers, min(callers, key=lambda number: callers[number].since))
            selector.register(connection, selectors.EVENT_READ)
            callers[connection.fileno()] = _Caller(connection, time.monotonic())

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def __enter__(self) -> PairingServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _drop(selector: selectors.BaseSelector, callers: dict[int, _Caller], number: int) -> None:
    selector.unregister(number)
    callers.pop(number).connection.close()


def _advance(caller: _Caller) -> Opening | bool | None:
    """Read what has come: an opening, None if there is more to come, False if this will never be one."""
    try:
        piece = caller.connection.recv(MAX_LINE_BYTES + 1 - len(caller.line))
    except BlockingIOError:
        return None
    except OSError:
        return False
    caller.line += piece
    if not piece or len(caller.line) > MAX_LINE_BYTES:
        return False
    if b"\n" not in caller.line:
        return None
    try:
        return decode_opening(bytes(caller.line))
    except WireError:
        return False


def call_board(endpoint: str, side: Side) -> Opening:
    """Pair with the board that waits at `endpoint`.

    Returns:
        What the board said of itself, now known to come from the one that shows the code.

    Raises:
        ConfigError: a malformed endpoint. LinkError: no board waits there, the code was wrong or has been used, or somebody is
            in between. WireError: something else answers.
    """
    host, port = split_tcp(endpoint)
    try:
        connection = socket.create_connection((host, int(port)), timeout=_ANSWER_S)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise LinkError(f"cannot reach {endpoint} ({reason}); is `edgebll-board pair` running there?") from error
    with connection:
        try:
            connection.sendall(encode_line(side.opening))
            opening = decode_opening(_read_line(connection))
            side.take(opening)
            connection.sendall(encode_line(side.confirm()))
            confirmation = _read_confirmation(connection)
        except OSError as error:
            if isinstance(error, LinkError):
                raise
            raise LinkError(f"the board at {endpoint} hung up while pairing ({error}); {_AGAIN}") from error
    if confirmation is None or not side.check(confirmation):
        raise LinkError(f"the code was wrong, or somebody is between this host and {endpoint}; nothing was saved; {_AGAIN}")
    return opening


def _read_confirmation(connection: socket.socket) -> Confirmation | None:
    """None where the other side hangs up instead."""
    try:
        line = _read_line(connection)
    except OSError:
        return None
    return decode_confirmation(line)


def _read_line(connection: socket.socket) -> bytes:
    deadline, line = time.monotonic() + _ANSWER_S, b""
    while not line.endswith(b"\n"):
        left_s = deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("it is silent")
        connection.settimeout(left_s)
        piece = connection.recv(MAX_LINE_BYTES + 1 - len(line))
        line += piece
        if not piece:
            raise ConnectionResetError("the connection is closed")
        if len(line) > MAX_LINE_BYTES:
            raise WireError(f"more than {MAX_LINE_BYTES} bytes came while pairing")
    return line
