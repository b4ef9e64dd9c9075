"""Samples cut in time on microcontrollers behind a line: the bits of `ordered`, from a state in mid-sample too."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import batches, bits, chunked_bundle, trained
from support.microcontroller_tools import emulated_boards

import edgebll
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle, make_target

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirmwareProcess]:
    with FirmwareProcess(tmp_path_factory.mktemp("line") / "port", ram_kib=256) as process:
        yield process


def test_firmware_goes_on_from_a_state_in_mid_sample_with_the_bits_of_ordered(firmware: FirmwareProcess) -> None:
    bundle, context = chunked_bundle("decolle"), LoadContext(serial_port=firmware.address)
    judge = OrderedBlock(bundle, "block0")
    with load_block("serial", bundle, "block0", load_context=context) as block:
        x, y = next(batches(block.spec, 1))
        assert trained(block, x, y, 0) == trained(judge, x, y, 0)
        middle = block.state()
        bits(block, 1)
    with load_block("serial", bundle, "block0", load_context=context) as other:
        other.load_state(middle)
        assert trained(other, x, y, 1) == trained(judge, x, y, 1)
        assert bits(other, 2) == bits(judge, 2)


@pytest.mark.slow
@emulated_boards()
def test_a_run_in_chunks_over_emulated_boards_has_the_bits_of_one_in_this_process(tmp_path: Path) -> None:
    how = {"num_classes": 10, "input_shape": (1, 8, 8), "seed": 0, "options": {"width": 8, "depth": 2, "time_steps": 4}}
    network = make_network("spiking-mlp", num_blocks=2, **how)  # type: ignore[arg-type]
    rule, target = make_rule("decolle", chunk=2), make_target("microcontroller")
    export_bundle(network, rule=rule, optimizer=SGD(), batch_size=8, path=tmp_path / "b", target=target)
    told: dict[str, Any] = {"data": "digits", "limit": 16}
    alone = edgebll.simulate(tmp_path / "b", tmp_path / "alone", boards=0, runtime="ordered", **told)
    both = edgebll.simulate(
        tmp_path / "b", tmp_path / "both", boards=2, microcontrollers=2, emulate="mps2-an386", snapshot_every=1, **told
    )
    assert alone.summary["steps"] == both.summary["steps"]
    assert both.state_sha256 == alone.state_sha256
