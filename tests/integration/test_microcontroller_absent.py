"""A microcontroller that is not there: waited for while a block is loaded, and then its block may go elsewhere."""

from __future__ import annotations

import contextlib
import functools
import signal
from pathlib import Path

import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import batches, bits, microcontroller_bundle

import edgebll
from edgebll.kernel.errors import BoardError, LinkError
from edgebll.kernel.execution.load_context import LoadContext, LoadHalted
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll_devices.microcontroller.microcontroller import Microcontroller
from edgebll_devices.runtimes import serial_plans

pytestmark = pytest.mark.timeout(60)


def impatient(monkeypatch: pytest.MonkeyPatch, wait_s: float) -> None:
    """Load without waiting for long."""
    monkeypatch.setattr(Microcontroller, "ready", functools.partialmethod(Microcontroller.ready, wait_s=wait_s))


def test_while_a_block_is_loaded_it_is_the_boards_fault_and_in_a_run_the_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    impatient(monkeypatch, 0.3)
    bundle, path = microcontroller_bundle("mlp"), tmp_path / "line"
    with pytest.raises(BoardError, match="block1: there is no unix://"):
        load_block("serial", bundle, "block1", load_context=LoadContext(serial_port=f"unix://{path}"))
    with contextlib.ExitStack() as stack:
        firmware = stack.enter_context(FirmwareProcess(path))
        context = LoadContext(serial_port=firmware.address)
        block = stack.enter_context(load_block("serial", bundle, "block1", load_context=context))
        state = block.state()
        firmware.restart()
        x, y = next(batches(block.spec, 1))
        with pytest.raises(LinkError, match="was restarted"):
            block.train(x, y, {"lr": 0.1})
        with pytest.raises(LinkError, match="is not on its microcontroller any more"):
            block.state()
        block.load_state(state)  # as a recovery does it: the block is put there anew
        assert bits(block, 3) == bits(OrderedBlock(bundle, "block1"), 3)
        firmware.send(signal.SIGKILL)
        path.unlink()
        with pytest.raises(BoardError, match="block1: "):
            block.load_state(state)


def test_loading_waits_says_so_and_can_be_halted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serial_plans, "_SAY_S", 0.2)
    said: list[str] = []
    context = LoadContext(said.append, lambda: len(said) > 1, serial_port=f"unix://{tmp_path / 'line'}")
    with pytest.raises(LoadHalted):
        load_block("serial", microcontroller_bundle("mlp"), "block0", load_context=context)
    assert said[0] == f"block0 waits for the microcontroller at unix://{tmp_path / 'line'}"


def test_a_microcontroller_that_comes_late_is_taken(tmp_path: Path) -> None:
    started: list[FirmwareProcess] = []

    def start(_: str = "") -> bool:
        if not started:
            started.append(FirmwareProcess(tmp_path / "line"))
        return False

    bundle = microcontroller_bundle("mlp")
    context = LoadContext(halted=start, serial_port=f"unix://{tmp_path / 'line'}")
    with load_block("serial", bundle, "block1", load_context=context) as block:
        assert bits(block, 2) == bits(OrderedBlock(bundle, "block1"), 2)
    started[0].__exit__()


def test_programs_name_the_port_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = microcontroller_bundle("mlp")
    with FirmwareProcess(tmp_path / "line") as firmware:
        monkeypatch.setenv("EDGEBLL_SERIAL", f"{firmware.address} /dev/ttyNONE")
        x, _ = next(batches(bundle.manifest.blocks[1], 1))
        with edgebll.load_block(bundle, "block1", runtime="serial") as block:
            found, metrics = block.train(x, [1, 2], lr=0.05)
        with edgebll.load_block(bundle, "block1", runtime="ordered") as block:
            expected, told = block.train(x, [1, 2], lr=0.05)
    assert (found.tobytes(), metrics) == (expected.tobytes(), told)
