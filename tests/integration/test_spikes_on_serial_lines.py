"""Spikes between a host and a microcontroller: the bits of floats in a thirtieth of the bytes, and firmware that knows none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import bits, microcontroller_bundle
from support.noisy_line import NoisyLine
from torch import Tensor, nn

import edgebll
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BoardError
from edgebll.kernel.execution.block_runtime import BlockRuntime
from edgebll.kernel.execution.load_context import LoadContext
from edgebll.kernel.execution.runtime_table import load_block
from edgebll.kernel.microcontroller.ordered_block import OrderedBlock
from edgebll.kernel.transport.serial_address import parse_port
from edgebll.kernel.wire.spike_coding import BITS, EVENTS, pack
from edgebll.learning import SGD, Greedy
from edgebll.learning.networks import BlockNetwork
from edgebll_devices.microcontroller import requests
from edgebll_devices.microcontroller.link import MicrocontrollerLink
from edgebll_devices.microcontroller.replies import parse_spikes
from edgebll_export import export_bundle, make_target

pytestmark = pytest.mark.timeout(120)
WIDTH, BATCH, STEPS, RATE = 256, 8, 4, 0.1
#: Bytes of float32 that go into a block, and that come out of it.
INTO = OUT = 4 * BATCH * WIDTH
#: Of the bytes of float32.
LEAST = 30
#: Bytes before and behind numbers in the pool, which stay; and those of one request.
BESIDE, PIECE = 4, 1000


class Fires(nn.Module):
    """1.0 where the input is above a threshold, 0.0 elsewhere; the gradient is that of the input."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.6).to(x.dtype) + (x - x.detach())


@cache
def spiking_bundle() -> Bundle:
    """Three blocks for digits, of which the second takes spikes and gives some."""
    path = Path(mkdtemp(prefix="edgebll-spiking-")) / "b"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        blocks = [nn.Sequential(nn.Flatten(), nn.Linear(64, WIDTH), Fires()), nn.Sequential(nn.Linear(WIDTH, WIDTH), Fires())]
        network = BlockNetwork([*blocks, nn.Linear(WIDTH, 10)], num_classes=10, input_shape=(1, 8, 8))
    target = make_target("microcontroller")
    export_bundle(network, rule=Greedy(), optimizer=SGD(lr=0.01), batch_size=BATCH, path=path, target=target)
    return open_bundle(path)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirmwareProcess]:
    with FirmwareProcess(tmp_path_factory.mktemp("line") / "port", ram_kib=1024, sparse=True) as process:
        yield process


@pytest.fixture
def link(firmware: FirmwareProcess) -> Iterator[MicrocontrollerLink]:
    with contextlib.closing(MicrocontrollerLink(parse_port(firmware.address))) as line:
        line.greet(5.0)
        yield line


def trained(block: BlockRuntime) -> list[bytes]:
    """What comes of spikes at a rate of 10 %, step by step, and the state that is left."""
    chance, found = np.random.default_rng(0), []
    for _ in range(STEPS):
        x = (chance.random((BATCH, WIDTH)) < RATE).astype(np.float32)
        y = np.eye(10, dtype=np.float32)[chance.integers(10, size=BATCH)]
        a, metrics, _ = block.train(x, y, dict.fromkeys(block.spec.scalars, 0.05))
        found += [a.tobytes(), repr(metrics).encode()]
    return [*found, *(value.tobytes() for value in block.state().values())]


def over(address: str) -> tuple[list[bytes], tuple[int, int]]:
    """The same of the second block on a board, and the bytes that its line carried for it and had carried as floats."""
    with load_block("serial", spiking_bundle(), "block1", load_context=LoadContext(serial_port=address)) as block:
        return trained(block), block.line_bytes


def test_spikes_take_a_thirtieth_and_the_bits_are_those_of_floats(firmware: FirmwareProcess, tmp_path: Path) -> None:
    own = trained(OrderedBlock(spiking_bundle(), "block1"))
    carried = {}
    with FirmwareProcess(tmp_path / "board", ram_kib=1024) as plain:
        for name, board in (("plain", plain), ("sparse", firmware)):
            with NoisyLine(tmp_path / name, str(board.path), 0, 0.0) as line:
                found, told = over(line.address)
                carried[name] = told, line.to_board.bytes + line.from_board.bytes
            assert found == own, name
    spikes = STEPS * (INTO + OUT)
    (sent, whole), on_line = carried["sparse"]
    beside = whole - spikes  # labels, learning rates and metrics, which are no spikes
    assert carried["plain"][0] == (whole, whole), "older firmware and what is built without gets floats"
    assert 0 < beside < whole / 30
    assert LEAST * (sent - beside) <= spikes
    saved = carried["plain"][1] - on_line
    assert saved > whole - sent, "the heads of frames are saved as well"


def test_a_run_counts_what_its_lines_carry(tmp_path: Path) -> None:
    bundle, told = spiking_bundle().path, dict[str, Any](data="digits", limit=2 * BATCH, boards=3)
    links = edgebll.simulate(bundle, tmp_path / "links", runtime="ordered", **told)
    lines = edgebll.simulate(bundle, tmp_path / "lines", microcontrollers=3, emulate="host", **told)
    assert lines.state_sha256 == links.state_sha256
    on_lines, unpacked = (
        lines.summary[name]["block1"] - links.summary[name]["block1"] for name in ("link_bytes", "link_bytes_unpacked")
    )
    tokens, rest = divmod(links.summary["link_bytes_unpacked"]["block1"], OUT + 4 * BATCH * 10)
    assert (tokens >= 2, rest) == (True, 0)
    assert unpacked >= tokens * (INTO + OUT)
    assert 0 < 20 * on_lines < unpacked


def test_what_are_no_spikes_travels_as_it_is(firmware: FirmwareProcess) -> None:
    bundle = microcontroller_bundle("mlp")
    with load_block("serial", bundle, "block0", load_context=LoadContext(serial_port=firmware.address)) as block:
        assert bits(block, 5) == bits(OrderedBlock(bundle, "block0"), 5)
        sent, whole = block.line_bytes
        assert sent == whole > 0


def floats(reply: bytes, elements: int) -> bytes:
    """The numbers of a reply that has spikes."""
    found = parse_spikes(reply, elements)
    assert found is not None
    return found.tobytes()


def trains() -> Iterator[npt.NDArray[np.float32]]:
    """Spikes of many rates and lengths, also long silences."""
    chance = np.random.default_rng(3)
    for size in (1, 7, 8, 33, 300, 4096):
        for rate in (0.0, 0.002, 0.05, 0.12, 0.5, 1.0):
            yield (chance.random(size) < rate).astype(np.float32)


def test_the_firmware_codes_and_decodes_as_links_do(link: MicrocontrollerLink) -> None:
    seen = set()
    for value in trains():
        packed = pack(memoryview(value.tobytes()), least=1)
        assert packed is not None
        seen.add(packed[0])
        around = value.nbytes + 2 * BESIDE
        starts = range(0, around, PIECE)
        filled = [requests.write(0, 3 + start, b"\xa5" * min(PIECE, around - start)) for start in starts]
        coding = [requests.write_spikes(0, 3 + BESIDE, value.size, *packed), requests.read_spikes(0, 3 + BESIDE, value.size)]
        reads = [requests.read(0, 3 + start, min(PIECE, around - start)) for start in starts]
        _, coded, *raw = link.exchange([*filled, *coding, *reads])[len(filled) :]
        assert b"".join(raw) == b"\xa5" * BESIDE + value.tobytes() + b"\xa5" * BESIDE
        number = {name: number for number, name in requests.CODINGS.items()}[packed[0]]
        assert coded == bytes([number]) + packed[1]
        assert floats(coded, value.size) == value.tobytes()
    assert seen == {BITS, EVENTS}


@pytest.mark.parametrize("odd", [-0.0, 0.5, -1.0, 2.0, float("nan"), 1e-45, np.nextafter(np.float32(1), np.float32(2))])
def test_the_firmware_says_where_there_are_other_numbers(link: MicrocontrollerLink, odd: float) -> None:
    value = (np.arange(200) % 9 == 0).astype("<f4")
    for place in (0, 77, 199):
        other = value.copy()
        other[place] = odd
        replies = link.exchange([requests.write(0, 0, other.tobytes()), requests.read_spikes(0, 0, 200)])
        assert parse_spikes(replies[1], 200) is None


@pytest.mark.parametrize(
    ("coding", "elements", "data", "said"),
    [
        (BITS, 16, bytes(3), "expects another length"),
        (BITS, 9, b"\0\2", "expects another length"),
        (EVENTS, 16, bytes(2), "expects another length"),
        (EVENTS, 100, b"\x63\0", "expects another length"),
        (EVENTS, 1000, b"\1\x80", "expects another length"),
        (EVENTS, 1000, b"\x80\x80\x80\x80\1", "expects another length"),
        (EVENTS, 1000, b"\x81\0", "expects another length"),
        (EVENTS, 65535, b"\0" * 10, "no such memory"),
    ],
)
def test_bytes_that_are_no_spikes_are_refused(
    link: MicrocontrollerLink, coding: str, elements: int, data: bytes, said: str
) -> None:
    offset = (1 << 20) - 4096 if said == "no such memory" else 64
    with pytest.raises(BoardError, match=said):
        link.exchange([requests.write_spikes(0, offset, elements, coding, data)])
    link.greet(5.0)
    with pytest.raises(BoardError, match="no such memory"):
        link.exchange([requests.read_spikes(0, 0, 8 * 1024)])
    link.greet(5.0)
    assert link.exchange([requests.write(0, 0, b"sound"), requests.read(0, 0, 5)])[1] == b"sound"


def test_nothing_is_lost_on_a_noisy_line(firmware: FirmwareProcess, tmp_path: Path) -> None:
    values = (np.random.default_rng(5).random((40, 2000)) < RATE).astype(np.float32)
    coded = [pack(memoryview(value.tobytes())) for value in values]
    wanted = [requests.write_spikes(0, 8000 * place, 2000, *packed) for place, packed in enumerate(coded) if packed is not None]
    with NoisyLine(tmp_path / "noisy", str(firmware.path), 4, 0.03) as line:
        with contextlib.closing(MicrocontrollerLink(parse_port(line.address))) as noisy:
            noisy.greet(5.0)
            noisy.exchange(wanted)
            found = noisy.exchange([requests.read_spikes(0, 8000 * place, 2000) for place in range(len(values))])
        assert min(sum(noise.done.values()) for noise in (line.to_board, line.from_board)) > 1
    assert b"".join(floats(each, 2000) for each in found) == values.tobytes()
