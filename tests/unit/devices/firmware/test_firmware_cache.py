"""Firmware is compiled once for the same sources and options, and anew where anything differs that its bits depend on."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgebll_devices.microcontroller import firmware_build
from edgebll_devices.microcontroller.firmware_boards import NamedBoard, find_board
from edgebll_devices.microcontroller.firmware_build import FirmwareOptions, cached


def test_other_options_and_other_flags_are_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    def build(board: NamedBoard, out: Path, options: FirmwareOptions) -> Any:
        return SimpleNamespace(path=out)

    monkeypatch.setattr(firmware_build, "build", build)
    board = find_board("host")
    found = [cached(board), cached(board, FirmwareOptions(baud=9600)), cached(board, FirmwareOptions(profile="small"))]
    monkeypatch.setattr(firmware_build, "FLAGS", ("-O3",))
    found.append(cached(board))
    monkeypatch.setattr(firmware_build, "PROFILE_FLAGS", {"exact": ("-O0",)})
    found.append(cached(board))
    assert len({str(path).removesuffix(f"/{firmware_build.ELF}") for path in found}) == 5
