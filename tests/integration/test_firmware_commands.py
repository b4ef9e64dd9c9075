"""`edgebll firmware`: what it builds and runs, and what it says where it cannot; and boards of the user's own."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import bits, microcontroller_bundle
from support.microcontroller_tools import emulated_boards
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_devices.microcontroller import exchange
from edgebll_devices.microcontroller.link import MicrocontrollerLink
from edgebll_devices.microcontroller.replies import Reply
from edgebll_devices.microcontroller.requests import PROGRESS

pytestmark = pytest.mark.timeout(120)
#: A process of this machine that says that it is alive at every chance.
_EAGER = """
title = "a process that tells all"
processor = []
sources = ["host.c"]
emulator = ""
flash_origin = 0
flash_kib = 0
ram_origin = 0
ram_kib = 512

[defines]
PROGRESS_MICROS = "1u"
"""


def invoke(*words: str, path: str | None = None) -> tuple[int, str, str]:
    environment = {} if path is None else {"PATH": path}
    result = CliRunner().invoke(app, ["firmware", *words], env=environment)
    return result.exit_code, result.stdout, result.stderr.removesuffix("\n").removeprefix("edgebll: ")


def test_all_boards_are_listed() -> None:
    code, said, _ = invoke("boards", "--json")
    assert code == 0
    rows = {row["board"]: row for row in json.loads(said)}
    assert set(rows) == {"host", "mps2-an385", "mps2-an386", "mps3-an547", "stm32f405"}
    assert (rows["stm32f405"]["flash_kib"], rows["stm32f405"]["ram_kib"]) == (1024, 128)
    assert rows["stm32f405"]["emulator"] == "netduinoplus2"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--board", "esp32"], 2, "the board must be one of host, mps2-an385"),
        (["--board", "host", "--ram", "lots"], 2, "--ram"),
        (["--board", "host", "--ram", "4k"], 2, "--ram must be 8 to"),
        (["--board", "host", "--baud", "3000000"], 2, "--baud must be 300 to 2000000"),
        (["--board", "host", "--profile", "quick"], 2, "the profile must be one of small, exact, fast, not 'quick'"),
        (["--board", "host", "--profile", "small", "--int8"], 2, "--int8 needs the profile exact or fast: small leaves out"),
        (["--board", "none.toml"], 2, "none.toml cannot be read"),
    ],
)
def test_what_cannot_be_built_is_said_in_a_sentence(tmp_path: Path, words: list[str], code: int, said: str) -> None:
    found, _, told = invoke("build", *words, "--out", str(tmp_path / "fw"))
    assert (found, "\n" in told) == (code, False)
    assert said in told
    assert not (tmp_path / "fw").exists()


@emulated_boards()
@pytest.mark.parametrize(
    ("board", "baud", "said"),
    [
        ("stm32f405", 2_000_000, ""),  # 8 clocks of 16 MHz
        ("stm32f405", 921_600, ""),  # 17.4 clocks, 2.1 % off
        ("stm32f405", 1_500_000, "no nearer than 2.5 %: take another --baud"),  # 10.7 clocks, 3.1 % off
        ("mps2-an386", 2_000_000, "this board has no such speed: take a lower --baud"),  # it counts 16 clocks at the least
    ],
)
def test_a_speed_that_the_boards_clock_does_not_make_is_refused(tmp_path: Path, board: str, baud: int, said: str) -> None:
    code, _, told = invoke("build", "--board", board, "--baud", str(baud), "--out", str(tmp_path / "fw"))
    assert code == (2 if said else 0), told
    assert said in told
    assert (tmp_path / "fw" / "firmware.bin").exists() != bool(said)


def test_missing_tools_are_named_with_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    nothing = str(tmp_path)
    code, _, told = invoke("build", "--board", "stm32f405", "--out", str(tmp_path / "fw"), path=nothing)
    assert code == 10
    assert told.endswith("sudo apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi")
    code, _, told = invoke("build", "--board", "host", "--out", str(tmp_path / "fw"), path=nothing)
    assert (code, told) == (10, "building for host needs cc; install it: sudo apt-get install gcc libc6-dev")


@pytest.mark.slow
def test_a_board_of_ones_own_is_built_from_its_file_and_tells_of_long_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "eager.toml").write_text(_EAGER)
    told: list[Reply] = []
    take = exchange.Exchange.take

    def noting(self: exchange.Exchange, reply: Reply, now_s: float) -> None:
        told.append(reply)
        take(self, reply, now_s)

    monkeypatch.setattr(exchange.Exchange, "take", noting)
    bundle = microcontroller_bundle("mlp")
    with contextlib.ExitStack() as stack:
        firmware = stack.enter_context(FirmwareProcess(tmp_path / "line", str(tmp_path / "eager.toml")))
        context = LoadContext(serial_port=firmware.address)
        block = stack.enter_context(load_block("serial", bundle, "block0", load_context=context))
        assert bits(block, 3) == bits(OrderedBlock(bundle, "block0"), 3)
    lived = [reply for reply in told if reply.op == PROGRESS]
    assert len(lived) >= 3
    assert all(len(reply.body) == 4 for reply in lived)


def test_run_prints_a_port_that_serves_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from edgebll.cli import main; main()", "firmware", "run", "--board", "host"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        port = process.stdout.readline().strip()
        said = process.stderr.readline()
        assert said.endswith(f"edgebll-board serve --serial {port}\n")
        emulator = os.pidfd_open(int(said.split("process ")[1].split(";")[0]))
        link = MicrocontrollerLink(parse_port(port))
        assert link.greet(5.0).pool_bytes == 1 << 20
        link.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(20.0) == 130
    assert select.select([emulator], [], [], 10.0)[0], "the emulator outlived the command"
    os.close(emulator)
