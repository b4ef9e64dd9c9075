"""What the kernel knows of a TCP connection: how much of it has arrived, and how much is still on its way.

ZeroMQ tells nothing of a message until it is whole; over a slow link that may be long. Linux only: elsewhere all is 0.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios

# struct tcp_info of Linux 4.1 and later.
_ACKED_AND_RECEIVED, _INFO_BYTES = struct.Struct("=QQ"), 136
_ACKED_OFFSET = 120
_INT = struct.Struct("=i")


def traffic(own: socket.socket) -> tuple[int, int]:
    """Bytes the peer has acknowledged, and bytes it has sent."""
    if sys.platform != "linux":
        return 0, 0
    try:
        info = own.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
        acked, received = _ACKED_AND_RECEIVED.unpack_from(info, _ACKED_OFFSET)
    except (OSError, struct.error):
        return 0, 0
    return int(acked), int(received)


def unconfirmed(own: socket.socket) -> int:
    """Bytes handed to the kernel that the peer has not acknowledged."""
    if sys.platform != "linux":
        return 0
    try:
        return int(_INT.unpack(fcntl.ioctl(own, termios.TIOCOUTQ, bytes(_INT.size)))[0])
    except (OSError, ValueError, struct.error):
        return 0
