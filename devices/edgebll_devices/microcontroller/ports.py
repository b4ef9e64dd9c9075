"""Open ports: bytes out, bytes in, and an OSError once the other end is gone. Real ones by pyserial, sockets by the system."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from typing import Protocol

import serial

from edgebll.kernel.errors import EdgebllError, LinkError
from edgebll.kernel.support.readiness import await_readable, await_writable
from edgebll.kernel.transport.serial_address import PortAddress
from edgebll_devices.microcontroller.emulators import emulators

_WRITE_S, _CONNECT_S, _CHUNK = 2.0, 2.0, 65536


class SerialPort(Protocol):
    """One end of a line of bytes."""

    def read(self, timeout_s: float) -> bytes:
        """What has come, at least a byte unless nothing came in time.

        Raises:
            OSError: the other end is gone.
        """

    def write(self, data: bytes) -> None:
        """Send all of it.

        Raises:
            OSError: the other end is gone, or takes nothing.
        """

    def close(self) -> None:
        """Give the port back."""


class DevicePort:
    """A device of the system, such as /dev/ttyACM0 or a pseudo terminal; nobody else may use it meanwhile.

    pyserial opens it and sets its speed; bytes go through its descriptor, as pyserial waits with select().

    Args:
        path: of the device.
        baud: bits a second.

    Raises:
        OSError: it cannot be opened, or another program uses it.
    """

    def __init__(self, path: str, baud: int) -> None:
        self._serial = serial.Serial(path, baud, timeout=0, exclusive=True)
        self._serial.reset_input_buffer()

    def read(self, timeout_s: float) -> bytes:
        """See SerialPort."""
        if not await_readable(self._serial, timeout_s):
            return b""
        data = os.read(self._serial.fileno(), _CHUNK)
        if not data:
            raise OSError(errno.EIO, "the device is gone")
        return data

    def write(self, data: bytes) -> None:
        """See SerialPort."""
        left, until_s = memoryview(data), time.monotonic() + _WRITE_S
        while left:
            if not await_writable(self._serial, until_s - time.monotonic()):
                raise OSError(errno.ETIMEDOUT, "the device takes nothing")
            with contextlib.suppress(BlockingIOError):
                left = left[os.write(self._serial.fileno(), left) :]

    def close(self) -> None:
        """See SerialPort."""
        with contextlib.suppress(OSError):
            self._serial.close()


class SocketPort:
    """A stream socket with a microcontroller behind it: of an emulator, or of a server of serial ports.

    Args:
        family: AF_INET or AF_UNIX.
        place: (host, port) or path.

    Raises:
        OSError: nobody listens there.
    """

    def __init__(self, family: socket.AddressFamily, place: tuple[str, int] | str) -> None:
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_CONNECT_S)
            self._socket.connect(place)
            if family == socket.AF_INET:
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.settimeout(_WRITE_S)
        except OSError:
            self._socket.close()
            raise

    def read(self, timeout_s: float) -> bytes:
        """See SerialPort."""
        if not await_readable(self._socket, timeout_s):
            return b""
        data = self._socket.recv(_CHUNK)
        if not data:
            raise OSError(errno.EPIPE, "the other end has hung up")
        return data

    def write(self, data: bytes) -> None:
        """See SerialPort."""
        self._socket.sendall(data)

    def close(self) -> None:
        """See SerialPort."""
        self._socket.close()


def open_port(address: PortAddress) -> SerialPort:
    """Open a port, after starting the emulator where it is one.

    Args:
        address: of the port.

    Raises:
        OSError: there is nobody. MissingExtraError: no emulator or compiler. BoardError: the emulator does not start.
    """
    if address.kind == "device":
        return DevicePort(address.place, address.baud)
    if address.kind == "socket":
        host, _, port = address.place.rpartition(":")
        return SocketPort(socket.AF_INET, (host, int(port)))
    path = address.place if address.kind == "unix" else str(emulators.running(address.place))
    return SocketPort(socket.AF_UNIX, path)


def port_problem(address: PortAddress, error: OSError) -> EdgebllError:
    """What an OSError of a port means, with what to do.

    Args:
        address: of the port.
        error: what opening, reading or writing raised.
    """
    code = error.errno
    if code in (errno.EACCES, errno.EPERM):
        advice = "add the user to its group (sudo usermod -aG dialout $USER, then log in again); edgebll doctor says more"
        return LinkError(f"this user may not use {address}; {advice}")
    if code in (errno.EAGAIN, errno.EBUSY) or "exclusively lock" in str(error):
        return LinkError(f"another program uses {address}; end it, or give another port")
    if code in (errno.ENOENT, errno.ENODEV, errno.ENXIO):
        return LinkError(f"there is no {address}; plug the microcontroller in, or give its port (ls /dev/serial/by-id)")
    reason = (error.strerror or str(error)).lower()
    return LinkError(f"{address} does not work ({reason}); check the cable and that the microcontroller has power")
