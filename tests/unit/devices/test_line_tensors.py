"""Tensors on a line: what is asked for as spikes, how often where they are none, and what is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from support.board_replies import BOARD_REPLIES

from edgebll.kernel.spec.manifest import TensorSpec
from edgebll_devices.microcontroller.line_tensors import LEAST_ELEMENTS, LineTensors
from edgebll_devices.microcontroller.replies import BoardReport, parse_reply, parse_report
from edgebll_devices.microcontroller.requests import BoardRequest, Op, Span

_OLDEST, _OLDER, _SPARSE = (parse_report(parse_reply(reply).body) for reply in BOARD_REPLIES[:3])
#: Elements of a tensor that takes two frames as bits.
ELEMENTS = 10_000


class Pool:
    """A board that holds one tensor, as spikes if it is some: bits alone, by plain loops."""

    def __init__(self) -> None:
        self.value = np.zeros(ELEMENTS, "<f4")
        self.asked: list[Op] = []

    def carry(self, wanted: Sequence[BoardRequest]) -> list[bytes]:
        """Answer reads."""
        self.asked += [request.op for request in wanted]
        return [self._answer(request) for request in wanted]

    def _answer(self, request: BoardRequest) -> bytes:
        offset, count = int.from_bytes(request.body[:4], "little"), int.from_bytes(request.body[4:6], "little")
        if request.op == Op.READ:
            return self.value.tobytes()[offset : offset + count]
        numbers = self.value[offset // 4 : offset // 4 + count].tolist()
        if any(number not in (0.0, 1.0) for number in numbers):
            return b"\0"
        coded = bytearray((count + 7) // 8)
        for place, number in enumerate(numbers):
            coded[place // 8] |= int(number) << place % 8
        return b"\1" + bytes(coded)


def line_to(report: BoardReport) -> LineTensors:
    """What carries tensors to a board that says this of itself."""
    line = LineTensors()
    line.greeted(report)
    return line


def got(line: LineTensors, pool: Pool) -> npt.NDArray[np.float32]:
    """The tensor of a pool."""
    (data,) = line.exchange(pool.carry, [], [(TensorSpec("a", "float32", (ELEMENTS,)), Span(0, 4 * ELEMENTS))])
    return np.frombuffer(data, "<f4")


def test_firmware_that_says_nothing_of_spikes_is_asked_for_floats() -> None:
    assert [report.spikes for report in (_OLDEST, _OLDER, _SPARSE)] == [False, False, True]
    assert (_SPARSE.kind, _OLDER.kind) == ("exact, int8, sparse", "exact, int8")
    assert replace(_SPARSE, plan_version=1).kind == "exact, sparse"
    pool, line = Pool(), line_to(_OLDER)
    assert got(line, pool).tobytes() == pool.value.tobytes()
    assert set(pool.asked) == {Op.READ}
    spikes = np.ones(ELEMENTS, "<f4").tobytes()
    assert {each.op for each in line.tensor_writes(TensorSpec("x", "float32", (ELEMENTS,)), 0, spikes)} == {Op.WRITE}
    assert line.sent_bytes == line.unpacked_bytes == 8 * ELEMENTS


def test_spikes_take_two_frames_and_their_bits_are_counted() -> None:
    pool, line = Pool(), line_to(_SPARSE)
    pool.value[::2] = 1.0
    assert got(line, pool).tobytes() == pool.value.tobytes()
    assert pool.asked == [Op.READ_SPIKES] * 2
    assert (line.sent_bytes, line.unpacked_bytes) == (ELEMENTS // 8, 4 * ELEMENTS)
    written = line.tensor_writes(TensorSpec("x", "float32", (ELEMENTS,)), 0, pool.value.tobytes())
    assert [each.op for each in written] == [Op.WRITE_SPIKES] * 2
    assert (line.sent_bytes, line.unpacked_bytes) == (2 * (ELEMENTS // 8), 8 * ELEMENTS)


def test_other_numbers_come_as_floats_and_are_asked_for_as_spikes_ever_more_seldom() -> None:
    pool, line = Pool(), line_to(_SPARSE)
    pool.value[-1] = 0.5  # the first frame alone is spikes
    tries = []
    for number in range(200):
        pool.asked.clear()
        assert got(line, pool)[-1] == 0.5
        tries += [number] if Op.READ_SPIKES in pool.asked else []
    assert tries == [0, 2, 6, 14, 30, 62, 126, 190]
    assert line.sent_bytes == line.unpacked_bytes == 200 * 4 * ELEMENTS
    pool.value[-1] = 1.0
    for _ in range(64):
        got(line, pool)
    pool.asked.clear()
    got(line, pool)
    assert pool.asked == [Op.READ_SPIKES] * 2, "once it is spikes again it stays so"


def test_what_is_small_or_no_float_is_not_looked_at() -> None:
    line = line_to(_SPARSE)
    for dtype, count, op in (
        ("float32", LEAST_ELEMENTS, Op.WRITE_SPIKES),
        ("float32", LEAST_ELEMENTS - 1, Op.WRITE),
        ("int32", LEAST_ELEMENTS, Op.WRITE),
    ):
        (request,) = line.tensor_writes(TensorSpec("x", dtype, (count,)), 8, bytes(4 * count))
        assert request.op == op
