"""The firmware on a real line: bytes in its memory, whatever the line does to them, and what is told of it."""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.firmware_processes import FirmwareProcess
from support.noisy_line import NoisyLine

from edgebll.kernel.errors import BoardError, LinkError
from edgebll.kernel.transport.serial_address import parse_port
from edgebll.kernel.wire.serial_frames import encode_frame
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.emulators import Emulator
from edgebll_devices.microcontroller.firmware_boards import find_board
from edgebll_devices.microcontroller.link import MicrocontrollerLink
from edgebll_devices.microcontroller.refusals import BoardRestarted

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def firmware(tmp_path: Path) -> Iterator[FirmwareProcess]:
    with FirmwareProcess(tmp_path / "line") as process:
        yield process


@pytest.fixture
def link(firmware: FirmwareProcess) -> Iterator[MicrocontrollerLink]:
    with greeted(firmware.address) as line:
        yield line


@contextlib.contextmanager
def greeted(address: str) -> Iterator[MicrocontrollerLink]:
    with contextlib.closing(MicrocontrollerLink(parse_port(address), gone_s=3.0)) as line:
        line.greet(5.0)
        yield line


def there_and_back(link: MicrocontrollerLink, data: bytes, piece: int = 900) -> bytes:
    """Through the board's memory."""
    pieces = range(0, len(data), piece)
    writes = [requests.write(0, start, data[start : start + piece]) for start in pieces]
    link.exchange(writes)
    return b"".join(link.exchange([requests.read(0, start, min(piece, len(data) - start)) for start in pieces]))


def test_a_board_says_who_it_is_and_keeps_what_it_is_given(link: MicrocontrollerLink) -> None:
    report = link.report
    assert report is not None
    assert (report.board, report.pool_bytes, report.boot > 0) == ("host", 1 << 20, True)
    data = random.Random(1).randbytes(20_000)
    assert there_and_back(link, data) == data
    again = link.greet(5.0)
    assert (again.boot, again.damaged, again.naks, link.resent) == (report.boot, 0, 0, 0)
    assert again.whole > 40


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
def test_nothing_is_lost_or_done_twice_on_a_noisy_line(firmware: FirmwareProcess, tmp_path: Path, seed: int) -> None:
    with NoisyLine(tmp_path / "noisy", str(firmware.path), seed, 0.02) as line, greeted(line.address) as link:
        data = random.Random(seed).randbytes(30_000)
        assert there_and_back(link, data, 500) == data
        assert link.resent > 0
        assert min(sum(noise.done.values()) for noise in (line.to_board, line.from_board)) > 3


def test_a_line_that_is_cut_is_opened_again_and_the_board_goes_on(firmware: FirmwareProcess, tmp_path: Path) -> None:
    with NoisyLine(tmp_path / "cut", str(firmware.path), 1, 0.0) as line, greeted(line.address) as link:
        boot = link.boot
        assert there_and_back(link, b"before") == b"before"
        for _ in range(3):
            line.cut()
            assert (
                link.exchange([requests.read(0, 0, 6), requests.write(0, 8, b"after"), requests.read(0, 8, 5)])[0] == b"before"
            )
        assert link.boot == boot


def test_a_restart_is_told_and_not_gone_over(firmware: FirmwareProcess, link: MicrocontrollerLink) -> None:
    before = link.boot
    there_and_back(link, b"x")
    firmware.restart()
    with pytest.raises(BoardRestarted, match="was restarted"):
        there_and_back(link, b"y")
    assert link.greet(5.0).boot not in (0, before)
    assert there_and_back(link, b"y") == b"y"


def test_a_board_that_stays_away_is_a_lost_link(firmware: FirmwareProcess) -> None:
    link = MicrocontrollerLink(parse_port(firmware.address), gone_s=0.4)
    link.greet(5.0)
    firmware.send(signal.SIGKILL)
    firmware.path.unlink()
    with pytest.raises(LinkError, match="there is no unix://"):
        there_and_back(link, b"x")
    with pytest.raises(LinkError, match="plug the microcontroller in"):
        link.greet(0.3)


def test_whatever_bytes_come_before_them_requests_are_answered(firmware: FirmwareProcess) -> None:
    chance = random.Random(5)
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as raw:
            raw.connect(str(firmware.path))
            raw.sendall(chance.randbytes(chance.randrange(1, 3000)) + b"\7" * chance.randrange(3))
        with greeted(firmware.address) as link:
            assert there_and_back(link, b"sound") == b"sound"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (requests.write(0, (1 << 20) - 3, b"four"), "no such memory"),
        (requests.read(0, 0xFFFFFFF0, 100), "no such memory"),
        (requests.read(0, 0, 2000), "no such memory"),
        (requests.read(9, 0, 4), "no room for one more block"),
        (requests.BoardRequest(requests.Op.READ, 0, b"short"), "expects another length"),
        (requests.run(0, 0, 1, ()), "does not have the block"),
    ],
)
def test_what_cannot_be_is_refused_and_the_next_request_is_answered(
    link: MicrocontrollerLink, wanted: requests.BoardRequest, said: str
) -> None:
    with pytest.raises((BoardError, LinkError), match=said):
        link.exchange([wanted])
    link.greet(5.0)
    assert there_and_back(link, b"sound") == b"sound"


def test_a_frame_longer_than_its_buffer_is_refused(firmware: FirmwareProcess, link: MicrocontrollerLink) -> None:
    link.close()
    with socket.socket(socket.AF_UNIX) as raw:
        raw.connect(str(firmware.path))
        raw.sendall(b"\0" + encode_frame(bytes(5000)))
        assert raw.recv(100)
    assert link.greet(5.0).overlong == 1


def test_a_pseudo_terminal_is_a_port_that_one_program_has_alone() -> None:
    data = random.Random(2).randbytes(5000)
    with contextlib.closing(Emulator(find_board("host"), ("pty",))) as emulator:
        with greeted(emulator.address) as first:
            assert there_and_back(first, data) == data
            with pytest.raises(LinkError, match="another program uses /dev/pts/"):
                MicrocontrollerLink(parse_port(emulator.address)).greet(0.3)
        with greeted(emulator.address) as second:
            assert there_and_back(second, data) == data


def test_nothing_listens_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(LinkError, match="there is no /dev/ttyNONE; plug"):
        MicrocontrollerLink(parse_port("/dev/ttyNONE")).greet(0.1)
    silent = tmp_path / "silent"
    with socket.socket(socket.AF_UNIX) as nobody:
        nobody.bind(str(silent))
        nobody.listen(1)
        with pytest.raises(LinkError, match="no firmware of edgebll answers"):
            MicrocontrollerLink(parse_port(f"unix://{silent}")).greet(0.4)


_STARTS_ONE = """
from edgebll_devices.microcontroller.emulators import Emulator
from edgebll_devices.microcontroller.firmware_boards import find_board
emulator = Emulator(find_board("host"), ("pty",))
print(emulator.pid, flush=True)
emulator.wait()
"""


def test_the_emulator_ends_with_whoever_started_it() -> None:
    with subprocess.Popen([sys.executable, "-c", _STARTS_ONE], stdout=subprocess.PIPE) as starter:
        assert starter.stdout is not None
        emulator = os.pidfd_open(int(starter.stdout.readline()))
        starter.kill()
    ended, _, _ = select.select([emulator], [], [], 10.0)
    os.close(emulator)
    assert ended, "the emulator outlived its host"
