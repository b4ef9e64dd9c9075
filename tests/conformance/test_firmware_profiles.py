"""Firmware of the profiles small and fast: the bits of the ordered reference after 20 steps, and numbers near them.

For what fast firmware computes its documentation gives a tolerance, TOLERANCE of the largest number of a tensor; the exact
profile has tests/conformance/test_emulated_microcontrollers.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import batches, microcontroller_bundle
from support.microcontroller_tools import emulated_boards
from support.slow import slow_after

from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.state.block_state import State
from edgebll.kernel.transport.serial_address import parse_port
from edgebll_devices.microcontroller.link import MicrocontrollerLink

pytestmark = [emulated_boards(), pytest.mark.timeout(240)]
STEPS = 20
#: Of docs/how-to/train-on-a-microcontroller.md.
TOLERANCE = 5e-4
#: Memory for data that QEMU has, in KiB.
RAM_KIB = {"host": 4096, "mps2-an386": 4096, "mps3-an547": 512}
BLOCKS = {"mlp": "block0", "lenet": "block1", "resnet": "block1", "dscnn": "block0"}
SMALL = [(("mps2-an386", "small"), network, BLOCKS[network]) for network in ("mlp", "dscnn")]
FAST = [((board, "fast"), network, BLOCKS[network]) for network in BLOCKS for board in ("mps2-an386", "mps3-an547")]
#: The larger networks on one of the two boards alone: they take half a minute each.
FAST = [case for case in FAST if case[1] in ("mlp", "lenet") or case[0][0] == "mps3-an547"]


def learnt(block: BlockRuntime) -> State:
    """The state after some steps."""
    for x, y in batches(block.spec, STEPS):
        block.train(x, y, dict.fromkeys(block.spec.scalars, 0.05))
    return block.state()


@cache
def reference(network: str, name: str) -> State:
    """That of the ordered reference."""
    return learnt(OrderedBlock(microcontroller_bundle(network, 1), name))


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The line of a board with firmware of a profile."""
    board, profile = request.param
    with FirmwareProcess(tmp_path_factory.mktemp(board) / "line", board, RAM_KIB[board], profile) as process:
        yield process.address


def state_of(address: str, network: str, name: str) -> State:
    """The state after some steps there."""
    bundle = microcontroller_bundle(network, 1)
    with load_block("serial", bundle, name, load_context=LoadContext(serial_port=address)) as block:
        return learnt(block)


@pytest.mark.parametrize(
    ("address", "network", "name"), slow_after(1, SMALL, lambda *case: case[1] == "dscnn"), indirect=["address"]
)
def test_small_firmware_has_the_bits_of_the_ordered_reference(address: str, network: str, name: str) -> None:
    found = state_of(address, network, name)
    for tensor, wanted in reference(network, name).items():
        np.testing.assert_array_equal(found[tensor], wanted, tensor)


@pytest.mark.parametrize(
    ("address", "network", "name"), slow_after(2, FAST, lambda *case: case[1] == "resnet"), indirect=["address"]
)
def test_fast_firmware_is_near_the_ordered_reference(address: str, network: str, name: str) -> None:
    found, wanted = state_of(address, network, name), reference(network, name)
    for tensor, near in wanted.items():
        largest = np.max(np.abs(near)) or 1.0
        assert np.max(np.abs(found[tensor] - near)) <= TOLERANCE * largest, tensor
    assert any(not np.array_equal(found[tensor], near) for tensor, near in wanted.items()), "it takes sums as all others do"


@pytest.mark.parametrize("address", [("host", profile) for profile in ("small", "exact", "fast")], indirect=True)
def test_firmware_says_its_profile(address: str, request: pytest.FixtureRequest) -> None:
    link = MicrocontrollerLink(parse_port(address))
    try:
        assert link.greet(5.0).profile == request.node.callspec.params["address"][1]
    finally:
        link.close()
