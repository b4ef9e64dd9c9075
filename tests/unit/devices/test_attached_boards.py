"""What an agent knows of the microcontrollers at its ports: room for blocks, and the profile where it is not the usual one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.fake_board import welcome
from support.firmware_processes import FirmwareProcess

from edgebll_devices.agent.attached_boards import AttachedBoards
from edgebll_devices.microcontroller.replies import BoardReport, SlotReport, parse_report
from edgebll_firmware_host.commands.devices import _device, _print_devices
from edgebll_firmware_host.inventory import BoardEntry


@pytest.mark.parametrize(("profile", "told"), [("small", "small"), ("exact", ""), ("fast", "fast host")])
def test_profiles_that_are_not_exact_are_told(
    profile: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with FirmwareProcess(tmp_path / "line", ram_kib=64, profile=profile) as process:
        attached = AttachedBoards([process.address, "/dev/ttyNONE"])
        assert attached.memory() == {process.address: 64 << 10, "/dev/ttyNONE": 0}
    assert attached.profiles() == ({process.address: told} if told else {})
    answer = replace(welcome(), microcontrollers=attached.memory(), microcontroller_profiles=attached.profiles())
    _print_devices([_device(BoardEntry("a", "tcp://127.0.0.1:1"), answer)])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"serial, {profile}, 64 KiB for blocks" in shown
    assert "serial, no answer" in shown


def test_firmware_that_names_no_profile_is_exact() -> None:
    """As firmware did before there were any."""
    numbers = (1, 1, 7, 0, 65536, 1024, 2047, 4096, 900, 100, 0, 0, 0, 0)
    body = b"".join(
        number.to_bytes(size, "little")
        for number, size in zip(numbers, (2, 2, 4, 2, 4, 2, 2, 4, 4, 4, 4, 4, 4, 4), strict=True)
    )
    body += b"\x04host\x01" + b"\x01" + bytes(8) + (3).to_bytes(4, "little")
    report = BoardReport(*numbers, "host", (SlotReport(True, bytes(8), 3),), "exact")
    assert parse_report(body) == report
    for number, profile in enumerate(("fast", "small", "exact", "fast", "fast")):
        assert parse_report(body + bytes([number])) == replace(report, profile=profile)
