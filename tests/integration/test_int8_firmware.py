"""Firmware that runs int8: predictions over a serial line with the bits of `ordered`, and what firmware without it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.fake_board import welcome
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import batches, bits, int8_bundle, microcontroller_bundle, short_bundle
from support.microcontroller_tools import emulated_boards
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.cli.health_check import OK
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import BoardError
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.execution.runtime_table import load_block, load_int8_forward
from edgebll.kernel.microcontroller import plan_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.spec.plan_versions import INT8_VERSION
from edgebll_devices.agent.attached_boards import AttachedBoards
from edgebll_devices.doctor.board_probe import BoardProbe
from edgebll_devices.doctor.microcontrollers import microcontroller_checks
from edgebll_firmware_host.commands.devices import _device, _print_devices
from edgebll_firmware_host.inventory import BoardEntry

pytestmark = pytest.mark.timeout(120)
#: Memory for data, in KiB.
RAM_KIB = 512


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirmwareProcess]:
    with FirmwareProcess(tmp_path_factory.mktemp("int8") / "line", ram_kib=RAM_KIB, int8=True) as process:
        yield process


def assert_predicts_like_ordered(bundle: Bundle, address: str) -> None:
    """Every block's quantised forward pass, twice, all of them on one board."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEBLL_SERIAL", address)
        names = [spec.name for spec in bundle.manifest.blocks]
        theirs = [load_int8_forward(bundle, name, "serial") for name in names]
    try:
        for name, block in zip(names, theirs, strict=True):
            own = load_int8_forward(bundle, name, "ordered")
            for x, _ in batches(bundle.manifest.block(name), 2):
                np.testing.assert_array_equal(block.evaluate(x), own.evaluate(x))
    finally:
        for block in theirs:
            block.close()


def test_predictions_in_int8_have_the_bits_of_ordered(firmware: FirmwareProcess) -> None:
    assert_predicts_like_ordered(int8_bundle("mlp"), firmware.address)


@pytest.mark.slow
@emulated_boards()
def test_predictions_of_an_emulated_board_have_the_bits_of_ordered(tmp_path: Path) -> None:
    with FirmwareProcess(tmp_path / "line", "mps2-an386", int8=True) as board:
        assert_predicts_like_ordered(int8_bundle("mlp"), board.address)


def test_training_in_float32_has_the_bits_of_ordered(firmware: FirmwareProcess) -> None:
    bundle = microcontroller_bundle("mlp")
    with load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=firmware.address)) as block:
        assert bits(block, 3) == bits(OrderedBlock(bundle, "block0"), 3)


def test_training_in_int8_has_the_bits_of_ordered(firmware: FirmwareProcess, tmp_path: Path) -> None:
    bundle = microcontroller_bundle("mlp", 2, "int8")
    assert plan_block(bundle, "block0").plan_version == INT8_VERSION
    with load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=firmware.address)) as block:
        assert bits(block, 5) == bits(OrderedBlock(bundle, "block0"), 5)
    with FirmwareProcess(tmp_path / "line", ram_kib=RAM_KIB) as plain, pytest.raises(BoardError, match="build --int8"):
        load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=plain.address))


def test_a_state_in_int8_goes_over_the_line_and_trains_on_with_the_bits_of_ordered(firmware: FirmwareProcess) -> None:
    bundle = short_bundle("mlp", 8)
    own = OrderedBlock(bundle, "block0")
    with load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=firmware.address)) as block:
        assert bits(block, 3) == bits(own, 3)
        kept = block.state()
        after = bits(block, 2, seed=5)
        block.load_state(kept)
        assert bits(block, 2, seed=5) == after, "what a snapshot restored goes on as it did"


def test_eval_on_the_board_counts_what_ordered_counts(firmware: FirmwareProcess) -> None:
    counted, words = [], ["eval", str(int8_bundle("mlp").path), "--data", "digits", "--int8", "--limit", "40", "--json"]
    for runtime in ("serial", "ordered"):
        done = CliRunner().invoke(app, [*words, "--runtime", runtime], env={"EDGEBLL_SERIAL": firmware.address})
        assert done.exit_code == 0, done.stderr
        counted.append(json.loads(done.stdout)["metrics"])
    assert counted[0] == counted[1]


def test_firmware_without_int8_is_refused_with_the_option(tmp_path: Path) -> None:
    bundle = int8_bundle("mlp")
    with FirmwareProcess(tmp_path / "line", ram_kib=RAM_KIB) as plain:
        done = CliRunner().invoke(
            app,
            ["eval", str(bundle.path), "--data", "digits", "--int8", "--runtime", "serial"],
            env={"EDGEBLL_SERIAL": plain.address},
        )
        assert done.exit_code == BoardError.exit_code
        assert done.stderr.splitlines()[-1].endswith(
            f"block0 computes in int8, and the firmware at {plain.address} runs plans of float32 alone; build it again and "
            "flash it: edgebll firmware build --int8"
        )
        with load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=plain.address)) as block:
            assert bits(block, 1) == bits(OrderedBlock(bundle, "block0"), 1)  # the port is free again, and it trains in float32


def test_devices_and_doctor_tell_of_int8(firmware: FirmwareProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (check,) = microcontroller_checks(BoardProbe(root=tmp_path), (firmware.address,))
    assert (check.status, check.found) == (OK, f"host (exact, int8), {RAM_KIB} KiB for blocks")
    with FirmwareProcess(tmp_path / "plain", ram_kib=64) as plain:
        attached = AttachedBoards([firmware.address, plain.address])
    assert attached.plans() == {firmware.address: 2}
    assert AttachedBoards(["emulator://host"]).plans() == {"emulator://host": 2}, "what is emulated runs any bundle"
    answer = replace(welcome(), microcontrollers=attached.memory(), microcontroller_plans=attached.plans())
    _print_devices([_device(BoardEntry("a", "tcp://127.0.0.1:1"), answer)])
    shown = " ".join(capsys.readouterr().out.split())
    assert f"serial, exact, int8, {RAM_KIB} KiB for blocks" in shown
    assert "serial, exact, 64 KiB for blocks" in shown


@pytest.mark.slow
@emulated_boards()
def test_int8_is_an_option_of_building(tmp_path: Path) -> None:
    words = ["firmware", "build", "--board", "mps2-an386", "--int8", "--out", str(tmp_path), "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["int8"] is True
    assert 16 << 10 < told["flash_bytes"] <= 24 << 10
