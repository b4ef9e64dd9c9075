"""The firmware on emulated microcontrollers: other processors and UARTs, read-only flash, a real stack."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_tools import emulated_boards
from support.slow import slow_after

from edgebll.kernel.microcontroller.block_memory import FIRMWARE_FLASH_BYTES, FIRMWARE_RAM_BYTES
from edgebll.kernel.spec.emulated_boards import DEFAULT_EMULATED, EMULATED
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.firmware_boards import board_names, find_board
from edgebll_devices.microcontroller.firmware_build import FirmwareOptions, build
from edgebll_devices.microcontroller.link import MicrocontrollerLink
from edgebll_devices.microcontroller.refusals import BoardRestarted

pytestmark = [emulated_boards(), pytest.mark.timeout(120)]
BOARDS = ("mps2-an386", "mps2-an385", "mps3-an547", "stm32f405")


def test_every_board_with_an_emulator_is_here() -> None:
    assert {name for name in board_names() if find_board(name).board.emulator} == set(BOARDS)
    assert set(EMULATED) == {"host", *BOARDS} == set(board_names())
    assert DEFAULT_EMULATED in BOARDS


@pytest.mark.parametrize("board", slow_after(1, BOARDS))
def test_an_emulated_board_keeps_bytes_and_tells_of_a_restart(board: str, tmp_path: Path) -> None:
    data = random.Random(3).randbytes(6000)
    with FirmwareProcess(tmp_path / "line", board) as process, contextlib.ExitStack() as stack:
        link = stack.enter_context(contextlib.closing(MicrocontrollerLink(parse_port(process.address), gone_s=4.0)))
        report = link.greet(10.0)
        assert (report.board, report.stack_bytes, report.lost_bytes) == (board, 4096, 0)
        assert 50 < report.stack_used < 1500
        wanted = [requests.write(0, start, data[start : start + 1000]) for start in range(0, 6000, 1000)]
        wanted += [requests.read(0, start, 1000) for start in range(0, 6000, 1000)]
        assert b"".join(link.exchange(wanted)) == data
        after = link.greet(10.0)
        assert (after.lost_bytes, after.damaged, after.naks) == (0, 0, 0)
        process.restart()
        with pytest.raises(BoardRestarted):
            link.exchange([requests.read(0, 0, 4)])


def test_what_does_not_fit_the_targets_memory_fails_when_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"does not compile: .*(overflowed|less than 4096 bytes of RAM)"):
        build(find_board("mps2-an386"), tmp_path, FirmwareOptions(ram_kib=10))
    assert list(tmp_path.iterdir()) == []


def test_the_firmware_is_small_and_leaves_the_rest_to_blocks(tmp_path: Path) -> None:
    made = build(find_board("mps2-an386"), tmp_path, FirmwareOptions(ram_kib=64, flash_kib=32))
    assert made.flash_bytes <= FIRMWARE_FLASH_BYTES
    assert made.ram_bytes <= FIRMWARE_RAM_BYTES  # what an export reckons with
    assert made.ram_bytes + made.pool_bytes == 64 << 10
    assert made.image is not None
    assert abs(made.image.stat().st_size - made.flash_bytes) < 16
