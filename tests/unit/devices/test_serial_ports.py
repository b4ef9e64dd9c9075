"""Open ports of microcontrollers: terminals and sockets, with any number of files open, and a device that takes nothing."""

from __future__ import annotations

import errno
import os
import pty
import socket
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.many_descriptors import SELECT_LIMIT, many_descriptors

from edgebll_devices.microcontroller import ports
from edgebll_devices.microcontroller.ports import DevicePort, SocketPort


@pytest.fixture
def terminal() -> Iterator[tuple[int, str]]:
    """A pseudo terminal: the end that a board has, and the path of the other one."""
    board, host = pty.openpty()
    tty.setraw(host)
    yield board, os.ttyname(host)
    os.close(board)
    os.close(host)


def test_ports_work_with_thousands_of_files_open(terminal: tuple[int, str], tmp_path: Path) -> None:
    board, path = terminal
    with many_descriptors(), socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "chip"))
        server.listen(1)
        through = SocketPort(socket.AF_UNIX, str(tmp_path / "chip"))
        far, _ = server.accept()
        device = DevicePort(path, 115200)
        with far:
            assert far.fileno() > SELECT_LIMIT
            assert device.read(0.0) == through.read(0.0) == b""
            os.write(board, b"from board")
            far.sendall(b"from chip")
            assert device.read(5.0) == b"from board"
            assert through.read(5.0) == b"from chip"
            device.write(b"to board")
            assert os.read(board, 100) == b"to board"
        device.close()
        through.close()


def test_a_device_that_takes_nothing_is_an_error(terminal: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """More than the line holds, and nobody reads: not for ever."""
    monkeypatch.setattr(ports, "_WRITE_S", 0.05)
    device = DevicePort(terminal[1], 115200)
    with pytest.raises(OSError, match="the device takes nothing") as caught:
        device.write(bytes(1 << 20))
    assert caught.value.errno == errno.ETIMEDOUT
    device.close()
