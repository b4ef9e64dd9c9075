"""Runs whose blocks learn on microcontrollers: the bits of a run on one machine, whatever becomes of boards and lines."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import bits, microcontroller_bundle
from support.slow import slow_after
from support.tiny_bundle import make_tiny_bundle

import edgebll
from edgebll.kernel.errors import BoardError, BundleError, ConfigError, MissingExtraError
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.wire import Assign
from edgebll_devices.agent.assignment_check import assigned_port
from edgebll_devices.runtimes.golden_replay import failures, replay

pytestmark = pytest.mark.timeout(240)
NETWORKS = ("mlp", "lenet", "resnet", "dscnn")
STEPS = 20


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirmwareProcess]:
    with FirmwareProcess(tmp_path_factory.mktemp("line") / "port", ram_kib=4096) as process:
        yield process


@pytest.mark.parametrize("network", slow_after(1, NETWORKS))
def test_firmware_gives_the_bits_of_the_ordered_reference(firmware: FirmwareProcess, network: str) -> None:
    bundle, context = microcontroller_bundle(network), LoadContext(serial_port=firmware.address)
    for spec in bundle.manifest.blocks:
        with load_block("serial", bundle, spec.name, load_context=context) as block:
            assert bits(block, STEPS) == bits(OrderedBlock(bundle, spec.name), STEPS)


@pytest.mark.parametrize("network", slow_after(1, NETWORKS))
def test_firmware_gives_what_pytorch_gave(firmware: FirmwareProcess, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEBLL_SERIAL", firmware.address)
    bundle = microcontroller_bundle(network)
    for spec in bundle.manifest.blocks:
        assert failures(replay(bundle, spec.name, "serial")) == []


def test_two_blocks_share_a_board_and_its_arena(firmware: FirmwareProcess) -> None:
    bundle, context = microcontroller_bundle("mlp"), LoadContext(serial_port=firmware.address)
    alone = [bits(OrderedBlock(bundle, name), 3) for name in ("block0", "block1")]
    with contextlib.ExitStack() as stack:
        blocks = [
            stack.enter_context(load_block("serial", bundle, name, load_context=context))
            for name in ("block0", "block1", "block0")
        ]
        assert [bits(block, 3) for block in blocks] == [*alone, alone[0]]
        assert [block.state().keys() for block in blocks[:2]] == [
            OrderedBlock(bundle, name).state().keys() for name in ("block0", "block1")
        ]


def test_a_block_that_does_not_fit_is_refused_with_its_bytes(tmp_path: Path) -> None:
    bundle = microcontroller_bundle("mlp")
    with FirmwareProcess(tmp_path / "small", ram_kib=16) as small:
        with pytest.raises(BoardError, match=r"block0 needs \d+ bytes of the microcontroller, which has 16384 for blocks"):
            load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=small.address))
        with load_block("serial", bundle, "block1", load_context=LoadContext(serial_port=small.address)) as block:
            assert bits(block, 2) == bits(OrderedBlock(bundle, "block1"), 2)


def test_without_a_port_it_says_where_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EDGEBLL_SERIAL", raising=False)
    with pytest.raises(ConfigError, match="needs the port of a microcontroller; set EDGEBLL_SERIAL"):
        load_block("serial", microcontroller_bundle("mlp"), "block0")


def test_a_simulated_run_over_microcontrollers_has_the_bits_of_one_in_this_process(tmp_path: Path) -> None:
    bundle = microcontroller_bundle("mlp", 8).path
    told: dict[str, Any] = {"data": "digits", "limit": 96}
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0, runtime="ordered", **told)
    both = edgebll.simulate(bundle, tmp_path / "both", boards=2, microcontrollers=2, emulate="host", **told)
    assert both.state_sha256 == alone.state_sha256
    assert both.summary["placement"] == {"board0": ["block0"], "board1": ["block1"]}
    record = json.loads((tmp_path / "both" / "run.json").read_text())
    assert (record["microcontrollers"], record["emulate"]) == (2, "host")


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"boards": 2, "microcontrollers": 3}, "microcontrollers must be 0 to 2, the number of boards, not 3"),
        (
            {"boards": 1, "microcontrollers": 1, "emulate": "nosuch"},
            "emulate must be one of host, mps2.*, not 'nosuch'",
        ),
    ],
)
def test_microcontrollers_that_cannot_be_are_refused_before_anything_starts(
    tmp_path: Path, told: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        edgebll.simulate(microcontroller_bundle("mlp").path, tmp_path / "run", data="digits", **told)
    assert not (tmp_path / "run").exists()


def test_tools_that_are_missing_are_named_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once, with their packages."""
    bundle, install = microcontroller_bundle("mlp").path, "install what is missing: sudo apt-get install"
    monkeypatch.setenv("PATH", str(tmp_path))
    both = f"needs arm-none-eabi-gcc and qemu-system-arm; {install} gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm$"
    for emulate, said in (("mps2-an386", both), ("host", f"needs cc; {install} gcc libc6-dev$")):
        with pytest.raises(MissingExtraError, match=f"^emulating {emulate} {said}"):
            edgebll.simulate(bundle, tmp_path / "run", data="digits", boards=2, microcontrollers=1, emulate=emulate)
    assert list(tmp_path.iterdir()) == []


def test_a_bundle_that_microcontrollers_cannot_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    bundle = make_tiny_bundle(tmp_path / "tiny")
    damaged = replace(bundle, manifest=replace(bundle.manifest, precision="bfloat16"))
    with FirmwareProcess(tmp_path / "port") as board, pytest.raises(BundleError, match="microcontrollers in float32"):
        load_block("serial", damaged, "block0", load_context=LoadContext(serial_port=board.address))


def test_a_host_opens_only_ports_that_the_board_was_started_with() -> None:
    order = Assign("r", ("block0",), {}, {}, (), "serial", 1)
    assert assigned_port(order, ("/dev/ttyACM0", "/dev/ttyACM1")) == "/dev/ttyACM0"
    assert assigned_port(replace(order, port="/dev/ttyACM1"), ("/dev/ttyACM0", "/dev/ttyACM1")) == "/dev/ttyACM1"
    assert assigned_port(replace(order, runtime="reference", port="/dev/mem"), ()) == ""
    with pytest.raises(ConfigError, match=r"wants the port '/dev/mem' of this board, only /dev/ttyACM0; serve with --serial"):
        assigned_port(replace(order, port="/dev/mem"), ("/dev/ttyACM0",))
    with pytest.raises(ConfigError, match="wants the port of a microcontroller of this board, which serves none"):
        assigned_port(order, ())
