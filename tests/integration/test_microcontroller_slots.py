"""What the firmware refuses of blocks, and what it does once and no more."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from support.firmware_processes import FirmwareProcess
from support.microcontroller_bundles import microcontroller_bundle

from edgebll.kernel.errors import BoardError, LinkError
from edgebll.kernel.microcontroller import BlockPlan, plan_block
from edgebll.kernel.transport.serial_address import parse_port
from edgebll.kernel.wire.serial_frames import encode_frame
from edgebll_devices.microcontroller import replies, requests
from edgebll_devices.microcontroller.link import MicrocontrollerLink
from edgebll_devices.microcontroller.requests import BoardRequest, Span

pytestmark = pytest.mark.timeout(60)
STATE, ARENA, PLANS, POOL = 0, 8192, 16384, 1 << 16
NONE = (Span(0, 0), b"")


@pytest.fixture(scope="module")
def plan() -> BlockPlan:
    return plan_block(microcontroller_bundle("mlp"), "block1")


class Block(NamedTuple):
    """A block on a board: its plan for training and the line to it."""

    link: MicrocontrollerLink
    plan: BlockPlan

    @property
    def content(self) -> bytes:
        return self.plan.encoded["step"]

    def set_up(
        self, slot: int = 0, *, state: int = STATE, arena: int = ARENA, plan: int = PLANS, content: bytes = b""
    ) -> BoardRequest:
        content = content or self.content
        plans = [(Span(plan, len(content)), content), NONE, NONE]
        spans = Span(state, self.plan.state_bytes), Span(arena, self.plan.arena_bytes)
        return requests.set_up(slot, b"12345678", 5, *spans, plans)

    def put(self, slot: int = 0) -> None:
        self.link.exchange([*writes(slot, PLANS, self.content), self.set_up(slot)])

    def inputs(self, seed: int = 0) -> list[tuple[Span, bytes]]:
        chance = np.random.default_rng(seed)
        places = self.plan.graphs["step"].inputs
        data = [chance.random(place.tensor.shape).astype(place.tensor.dtype).tobytes() for place in places]
        return [(Span(ARENA + place.offset, len(each)), each) for place, each in zip(places, data, strict=True)]

    def run(self, number: int, inputs: list[tuple[Span, bytes]], slot: int = 0) -> list[BoardRequest]:
        return [*(requests.write(slot, span.offset, data) for span, data in inputs), requests.run(slot, 0, number, inputs)]

    def state(self) -> bytes:
        return b"".join(self.link.exchange([requests.read(0, at, 500) for at in range(STATE, self.plan.state_bytes, 500)]))


def writes(slot: int, offset: int, data: bytes) -> list[BoardRequest]:
    return [requests.write(slot, offset + at, data[at : at + 900]) for at in range(0, len(data), 900)]


@pytest.fixture
def block(plan: BlockPlan, tmp_path: Path) -> Iterator[Block]:
    with contextlib.ExitStack() as stack:
        firmware = stack.enter_context(FirmwareProcess(tmp_path / "line", ram_kib=POOL >> 10))
        link = stack.enter_context(contextlib.closing(MicrocontrollerLink(parse_port(firmware.address))))
        link.greet(5.0)
        yield Block(link, plan)


def test_a_run_is_done_once_and_answered_as_often_as_it_is_asked_for(block: Block) -> None:
    block.put()
    before, inputs = block.state(), block.inputs()
    first = block.link.exchange(block.run(6, inputs))[-1]
    after = block.state()
    assert after != before
    again = block.link.exchange([requests.run(0, 0, 6, inputs)])[-1]  # another request, with a number of its own
    assert again == first
    block.link.greet(5.0)  # another session
    assert block.link.exchange([requests.run(0, 0, 6, inputs)])[-1] == first
    assert block.state() == after
    assert replies.parse_run(first)[0] == 6


@pytest.mark.parametrize("number", [5, 7, 8, 0, 0xFFFFFFFF])
def test_only_the_next_run_is_done(block: Block, number: int) -> None:
    block.put()
    inputs = block.inputs()
    if number == 5:  # the one before, which is what the block was set up with
        assert replies.parse_run(block.link.exchange(block.run(5, inputs))[-1]) == (5, 0)
        return
    before = block.state()
    with pytest.raises(LinkError, match="another number of runs"):
        block.link.exchange(block.run(number, inputs))
    block.link.greet(5.0)
    assert block.state() == before


def test_inputs_that_changed_on_the_way_are_not_learnt(block: Block) -> None:
    block.put()
    before, inputs = block.state(), block.inputs()
    span, data = inputs[0]
    wanted = block.run(6, inputs)
    wanted.insert(-1, requests.write(0, span.offset, bytes([data[0] ^ 1])))
    with pytest.raises(LinkError, match="other inputs in its memory"):
        block.link.exchange(wanted)
    block.link.greet(5.0)
    assert block.state() == before


def test_a_write_over_a_plan_takes_the_block_away(block: Block) -> None:
    block.put()
    block.link.exchange(block.run(6, block.inputs()))
    block.link.exchange([requests.write(3, PLANS + len(block.content) - 1, b"\0")])
    with pytest.raises(LinkError, match="does not have the block any more"):
        block.link.exchange([requests.run(0, 0, 7, ())])
    assert not any(slot.in_use for slot in block.link.greet(5.0).slots)


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({"plan": 4}, "no such memory"),  # not at a multiple of 8
        ({"plan": POOL}, "no such memory"),
        ({"state": POOL - 8}, "no such memory"),
        ({"arena": 0xFFFFFFF8}, "no such memory"),
        ({"state": PLANS}, "no room for one more block"),
        ({"arena": PLANS + 8}, "no room for one more block"),
        ({"arena": STATE + 64}, "no room for one more block"),
        ({"slot": 4}, "no room for one more block"),
    ],
)
def test_parts_of_a_block_that_cannot_lie_so_are_refused(block: Block, places: dict[str, Any], said: str) -> None:
    with pytest.raises(BoardError, match=said):
        block.link.exchange([*writes(0, PLANS, block.content), block.set_up(**places)])


@pytest.mark.parametrize("part", ["state", "arena", "plan"])
def test_blocks_share_an_arena_and_nothing_else(block: Block, part: str) -> None:
    block.put()
    elsewhere: dict[str, Any] = {"state": 24576, "plan": 32768}
    block.link.exchange([*writes(1, 32768, block.content), block.set_up(1, **elsewhere)])  # the same arena
    taken = {"state": {"state": STATE + 8}, "arena": {"arena": STATE}, "plan": {"plan": ARENA}}[part]
    with pytest.raises(BoardError, match="no room for one more block"):
        block.link.exchange([*writes(1, taken.get("plan", 32768), block.content), block.set_up(1, **{**elsewhere, **taken})])
    report = block.link.greet(5.0)
    assert [slot.in_use for slot in report.slots] == [True, False, False, False]
    assert (report.slots[0].hash, report.slots[0].run) == (b"12345678", 5)


def test_a_plan_that_is_wrong_is_refused_with_its_place_and_nothing_of_it_runs(block: Block) -> None:
    damaged = bytearray(block.content)
    damaged[-8] ^= 1
    with pytest.raises(BoardError, match=r"refuses the plan of step \(error 4 at byte 0\)"):
        block.link.exchange([*writes(0, PLANS, bytes(damaged)), block.set_up(content=bytes(damaged))])
    with pytest.raises(LinkError, match="other plans in its memory"):
        block.link.exchange([*writes(0, PLANS, bytes(damaged)), block.set_up()])
    block.link.greet(5.0)
    with pytest.raises(LinkError, match="does not have the block"):
        block.link.exchange([requests.run(0, 0, 6, ())])


def test_an_answer_takes_less_than_ten_milliseconds(block: Block) -> None:
    block.put()
    took = []
    for _ in range(20):
        began = time.perf_counter()
        block.link.greet(5.0)
        took.append(time.perf_counter() - began)
    assert min(took) < 0.01


def test_what_the_line_echoes_is_not_answered(block: Block, tmp_path: Path) -> None:
    before = block.link.greet(5.0)
    port = block.link._port
    assert port is not None
    for op in (requests.Op.INFO | requests.REPLY, requests.PROGRESS, requests.NAK):
        port.write(b"\0" + encode_frame(requests.HEADER.pack(op, 0, 9) + bytes(20)))
    after = block.link.greet(5.0)
    assert (after.naks, after.whole) == (before.naks, before.whole + 4)


def test_an_earlier_write_that_comes_again_is_answered_and_not_done_again(block: Block) -> None:
    link = block.link
    first = link._sequence + 1
    link.exchange([requests.write(0, 0, b"early"), requests.write(0, 0, b"later")])
    port = link._port
    assert port is not None
    port.write(b"\0" + encode_frame(requests.write(0, 0, b"early").payload(first)))
    assert link.exchange([requests.read(0, 0, 5)]) == [b"later"]
