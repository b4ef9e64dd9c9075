"""The example for microcontrollers on an emulated Cortex-M4F: it resets itself in mid-work and ends with Python's bits."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.c_runtime import ROOT
from support.gestures import EXAMPLE, fingerprint, gestures_bundle, trained_in_python
from support.microcontroller_tools import emulated_boards

from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll_devices.microcontroller.block_as_c import block_as_c
from edgebll_devices.microcontroller.firmware_boards import find_board

pytestmark = [emulated_boards(), pytest.mark.timeout(120)]


@contextmanager
def saying(elf: Path) -> Iterator[Iterator[str]]:
    """The lines that a program says in the emulator."""
    command = [
        "qemu-system-arm",
        "-M",
        "mps2-an386",
        "-display",
        "none",
        "-monitor",
        "none",
        "-serial",
        "stdio",
        "-kernel",
        str(elf),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield (line.rstrip("\r\n") for line in process.stdout)
        finally:
            process.kill()


@pytest.mark.slow
def test_a_microcontroller_learns_through_a_reset_with_the_bits_of_python(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(EXAMPLE, tmp_path / "example"))
    block_as_c(gestures_bundle(), "block0", "gestures").write(folder / "src")
    made = ["make", "--silent", "an386", f"FIRMWARE={ROOT / 'devices' / 'firmware'}"]
    subprocess.run(made, cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    with saying(folder / "build" / "gestures.elf") as lines:
        said = [next(lines) for _ in range(10)]
    judge, right = trained_in_python(600)
    assert said[0] == "from step 0"
    assert said[4].startswith("step 330, state ")
    assert said[5] == "from step 300", "it was reset, and its RAM cleared"
    assert said[8:] == [f"step 600: {right} of 100 right", f"step 600, state {fingerprint(region(judge))}"]


def region(block: OrderedBlock) -> bytes:
    """The state as it lies in memory."""
    content, values = bytearray(block.plan.state_bytes), block.state()
    for place in block.plan.state.tensors:
        data = values[place.tensor.name].tobytes()
        content[place.offset : place.offset + len(data)] = data
    return bytes(content)


def test_the_makefile_says_what_the_board_s_file_says() -> None:
    text, board = (EXAMPLE / "Makefile").read_text(), find_board("mps2-an386").board
    assert set(board.processor) <= set(text.split())
    assert {f"-D{name}={value}" for name, value in board.defines.items()} <= set(text.split())
