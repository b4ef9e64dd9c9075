"""Whatever comes over its line, the firmware reads and writes nothing outside its memory, and answers the next request."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from support.microcontroller_bundles import microcontroller_bundle
from support.sanitized_firmware import Attacks, SanitizedFirmware, compiler
from support.slow import slow_after

from edgebll.kernel.microcontroller import plan_block

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="needs gcc with its sanitizers: apt-get install gcc"),
    pytest.mark.timeout(120),
]


@pytest.mark.parametrize("seed", slow_after(0, range(5)))
def test_no_bytes_break_the_firmware(tmp_path: Path, seed: int) -> None:
    attacks = Attacks(plan_block(microcontroller_bundle("mlp"), "block1"), seed)
    with contextlib.closing(SanitizedFirmware(tmp_path)) as firmware:
        assert firmware.sound()
        for number in range(1500):
            try:
                attacks.one(firmware)
            except OSError:
                pytest.fail(f"attack {number} broke it: {firmware.report}")
        assert firmware.sound(), firmware.report
        assert firmware.report == ""
