"""Blocks on emulated microcontrollers: the bits of the ordered reference after every step, and PyTorch's numbers.

tests/integration/test_microcontroller_runs.py holds the firmware as a process of this machine to the same reference, so all
boards have one another's bits. Time limits what is done here: the MLP learns for 20 steps, networks of convolutions for five,
or two without a floating-point unit, where a step takes seconds to emulate; LeNet's last block, three linear
layers whose state takes 8 s each way over an emulated line, is left to the other file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import batches, microcontroller_bundle
from support.microcontroller_tools import emulated_boards
from support.slow import slow_after

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import SERIAL_PORTS, LoadContext
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll_devices.runtimes.golden_replay import failures, replay

pytestmark = [emulated_boards(), pytest.mark.timeout(240)]
REFERENCE, STEPS = "mps2-an386", 20
#: Boards and the memory for data that QEMU has for them, in KiB.
BOARDS = {REFERENCE: 4096, "mps2-an385": 4096, "mps3-an547": 512, "stm32f405": 192}
#: Of networks with convolutions, also without a floating-point unit.
FEW, SOFT = 5, {"mps2-an385": {"resnet": 2, "dscnn": 2}}
#: Batches; a second sample of the DS-CNN would not fit the STM32F405.
NETWORKS = {"mlp": 2, "lenet": 1, "resnet": 1, "dscnn": 1}
LARGE = ("lenet", "block2")
#: On the other boards an MLP and LeNet show the same; these networks run on all of them by `make test-wide`.
DEEP = ("resnet", "dscnn")
CASES = [
    (REFERENCE, "mlp"),
    *((board, network) for board in BOARDS for network in NETWORKS if (board, network) != (REFERENCE, "mlp")),
]
#: Steps have the bits of the reference, so few golden vectors are enough: the other file has those of every block.
GOLDEN = [*((board, "mlp") for board in BOARDS), (REFERENCE, "resnet")]


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The line of an emulated board."""
    board = request.param
    with FirmwareProcess(tmp_path_factory.mktemp(board) / "line", board, BOARDS[board]) as process:
        yield process.address


def blocks_of(network: str) -> tuple[Bundle, list[str]]:
    """The blocks that learn here."""
    bundle = microcontroller_bundle(network, NETWORKS[network])
    names = [spec.name for spec in bundle.manifest.blocks]
    return bundle, [name for name in names if (network, name) != LARGE]


def story(block: BlockRuntime, steps: int) -> Iterator[str]:
    """A digest of what comes of each step."""
    for x, y in batches(block.spec, steps):
        a, metrics, sent = block.train(x, y, dict.fromkeys(block.spec.scalars, 0.05))
        values = [a.tobytes(), repr(sorted(metrics.items())).encode(), *(sent[name].tobytes() for name in sorted(sent))]
        yield hashlib.sha256(b"".join(values)).hexdigest()


def digest(block: BlockRuntime) -> str:
    """Of the state."""
    return hashlib.sha256(b"".join(value.tobytes() for _, value in sorted(block.state().items()))).hexdigest()


@cache
def reference(network: str, name: str) -> tuple[list[str], list[str]]:
    """What the ordered reference says of each step, and its state after it."""
    block = OrderedBlock(microcontroller_bundle(network, NETWORKS[network]), name)
    states: list[str] = []
    said = []
    for each in story(block, STEPS if network == "mlp" else FEW):
        said.append(each)
        states.append(digest(block))
    return said, states


@pytest.mark.parametrize(
    ("address", "network"), slow_after(1, CASES, lambda board, net: net in DEEP and board != REFERENCE), indirect=["address"]
)
def test_every_step_has_the_bits_of_the_ordered_reference(address: str, network: str, request: pytest.FixtureRequest) -> None:
    board = request.node.callspec.params["address"]
    bundle, names = blocks_of(network)
    steps = SOFT.get(board, {}).get(network, STEPS if network == "mlp" else FEW)
    for name in names:
        said, states = reference(network, name)
        with load_block("serial", bundle, name, load_context=LoadContext(serial_port=address)) as block:
            assert list(story(block, steps)) == said[:steps]
            assert digest(block) == states[steps - 1]


@pytest.mark.parametrize(
    ("address", "network"), slow_after(0, GOLDEN, lambda board, net: net in DEEP or board != REFERENCE), indirect=["address"]
)
def test_golden_vectors_of_pytorch(address: str, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SERIAL_PORTS, address)
    bundle, names = blocks_of(network)
    for name in names:
        assert failures(replay(bundle, name, "serial")) == []


def test_states_of_the_reference_change_with_every_step() -> None:
    said, states = reference("mlp", "block0")
    assert len({*said}) == len({*states}) == STEPS
