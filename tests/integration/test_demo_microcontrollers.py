"""`make demo-mcu`: digits over two emulated microcontrollers and a Linux board, or one sentence that says what is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.documents import ROOT
from support.microcontroller_tools import emulated_boards

SCRIPT = ROOT / "bench" / "demo_microcontrollers.sh"
LIMIT_S = 180.0


def demo(folder: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": path, "OUT": str(folder), "BIN": str(Path(sys.executable).parent)}
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run([bash, str(SCRIPT)], capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.mark.parametrize(
    ("there", "said", "packages"),
    [
        ((), "qemu-system-arm, arm-none-eabi-gcc is", "qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi"),
        (
            ("arm-none-eabi-gcc",),
            "qemu-system-arm, the compiler's library newlib is",
            "qemu-system-arm libnewlib-arm-none-eabi",
        ),
        (("qemu-system-arm",), "and arm-none-eabi-gcc is", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path, there: tuple[str, ...], said: str, packages: str) -> None:
    """All of it, so that one command brings it; a compiler that knows no library of its own is one that says a bare name."""
    folder, tools = tmp_path / "folder", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    for name in there:
        (tools / name).write_text("#!/bin/sh\necho nano.specs\n")
        (tools / name).chmod(0o755)
    done = demo(folder, str(tools))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"{said} missing" in done.stderr
    assert done.stderr.endswith(f"sudo apt-get install {packages}\n")
    assert list(folder.iterdir()) == []


@emulated_boards()
@pytest.mark.slow
@pytest.mark.timeout(400)
def test_it_learns_with_the_bits_of_one_process_within_three_minutes(tmp_path: Path) -> None:
    started_s = time.monotonic()
    done = demo(tmp_path, os.environ["PATH"])
    assert done.returncode == 0, done.stderr
    assert "this machine ends with the same state: " in done.stdout.splitlines()[-1]
    assert time.monotonic() - started_s < LIMIT_S
