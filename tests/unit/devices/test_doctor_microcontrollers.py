"""What doctor says of serial ports and of who answers there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.firmware_processes import FirmwareProcess

from edgebll.cli.health_check import NOTE, OK, PROBLEM
from edgebll.kernel.errors import BoardError, WireError
from edgebll_devices.doctor import microcontrollers
from edgebll_devices.doctor.board_probe import BoardProbe
from edgebll_devices.doctor.microcontrollers import microcontroller_checks
from edgebll_devices.microcontroller.microcontroller import check_firmware
from edgebll_devices.microcontroller.replies import BoardReport, parse_report

REPORT = BoardReport(1, 1, 7, 0, 65536, 1024, 2047, 4096, 900, 100, 0, 0, 0, 0, "stm32f405", ())


def test_ports_that_this_user_may_not_use_are_told_with_a_rule(tmp_path: Path) -> None:
    assert list(microcontroller_checks(BoardProbe(root=tmp_path), ())) == []
    (tmp_path / "dev").mkdir()
    for name in ("ttyACM0", "ttyUSB1"):
        (tmp_path / "dev" / name).touch()
    (check,) = microcontroller_checks(BoardProbe(root=tmp_path), ())
    assert (check.status, check.found, check.advice) == (OK, "/dev/ttyACM0, /dev/ttyUSB1", "")
    (check,) = microcontroller_checks(BoardProbe(root=tmp_path, usable=lambda path: path.name != "ttyUSB1"), ())
    assert check.status == NOTE
    assert "may not use ttyUSB1" in check.found
    assert "usermod -aG dialout" in check.advice
    assert "/etc/udev/rules.d/70-edgebll.rules" in check.advice


def test_who_answers_is_told_and_who_does_not(tmp_path: Path) -> None:
    with FirmwareProcess(tmp_path / "line", ram_kib=64) as firmware:
        sound, gone = microcontroller_checks(BoardProbe(root=tmp_path), (firmware.address, "/dev/ttyNONE"))
    assert (sound.topic, sound.status, sound.found) == (firmware.address, OK, "host (exact), 64 KiB for blocks")
    assert (gone.status, gone.found) == (PROBLEM, "there is no /dev/ttyNONE")
    assert gone.advice.startswith("plug the microcontroller in")


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({}, OK, ""),
        ({"stack_used": 3700}, NOTE, "stack is nearly full"),
        ({"stack_bytes": 0, "stack_used": 0}, OK, ""),
        ({"lost_bytes": 3}, NOTE, "lower --baud"),
        ({"damaged": 11}, NOTE, "better cable"),
        ({"damaged": 10}, OK, ""),
    ],
)
def test_a_board_is_judged_by_what_it_counts(changes: dict[str, int], status: str, said: str) -> None:
    check = microcontrollers._judged("/dev/ttyACM0", replace(REPORT, **changes))  # type: ignore[arg-type]
    assert check.status == status
    assert said in check.advice


def test_firmware_of_another_version_is_refused() -> None:
    for version in (1, 2):  # a firmware of before runs plans in float32, and one of now both
        check_firmware(replace(REPORT, plan_version=version), "/dev/ttyACM0")
    for version in (0, 3):
        said = f"runs plans up to version {version}, this edgebll makes versions 1 to 2; build and flash"
        with pytest.raises(BoardError, match=said):
            check_firmware(replace(REPORT, plan_version=version), "/dev/ttyACM0")
    with pytest.raises(WireError, match="speaks version 9 of the protocol and this edgebll 1; build and flash"):
        parse_report(b"\x09\x00" + bytes(100))
    for length in range(48):
        with pytest.raises(WireError, match=r"too short|version"):
            parse_report((b"\x01\x00" + bytes(48) + b"\xff" * 60)[:length])
