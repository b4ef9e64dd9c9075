"""The TCP connections of a ZeroMQ socket by their descriptors: who they are from or to, and how to cut one.

libzmq owns the descriptors and may close one, and the system give its number to something else, at any time. So everything here
first makes a descriptor of its own for the same connection, and looks whether it is one of this socket at all. Nothing here
may change how the connection blocks, which both descriptors share; Python's own `socket.dup` does.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator


@contextlib.contextmanager
def connection(descriptor: int, port: int) -> Iterator[socket.socket | None]:
    """The connection with this descriptor that a peer made to `port` here, or None, for the length of a `with`."""
    own = -1
    try:
        own = os.dup(descriptor)
        found = socket.socket(fileno=own)
    except OSError:
        if own >= 0:
            os.close(own)
        yield None
        return
    with found:
        yield found if _is_from(found, port) else None


def again(found: socket.socket) -> socket.socket:
    """Another descriptor of our own for the same connection.

    Raises:
        OSError: there is none left.
    """
    return socket.socket(fileno=os.dup(found.fileno()))


def own_connection(descriptor: int, port: int) -> socket.socket | None:
    """A descriptor of our own for the connection that was made from here to `port` of a peer; None if it is gone by now."""
    own = -1
    try:
        own = os.dup(descriptor)
        found = socket.socket(fileno=own)
    except OSError:
        if own >= 0:
            os.close(own)
        return None
    try:
        if found.getpeername()[1] == port:
            return found
    except (OSError, IndexError, TypeError):
        pass
    found.close()
    return None


def _is_from(found: socket.socket, port: int) -> bool:
    try:
        return bool(found.getsockname()[1] == port and found.getpeername())
    except (OSError, IndexError, TypeError):
        return False


def cut(descriptor: int, port: int) -> bool:
    """Shut a connection down, so that libzmq closes it; whether there was one."""
    with connection(descriptor, port) as found:
        if found is None:
            return False
        with contextlib.suppress(OSError):
            found.shutdown(socket.SHUT_RDWR)
        return True
