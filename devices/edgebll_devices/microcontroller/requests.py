"""Requests to a microcontroller and what it answers, as bytes: LINK.md beside the firmware says what each means.

A payload is op u8, slot u8, sequence u16, and a body; all numbers little endian.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from edgebll.kernel.errors import WireError

#: Version of the protocol, and the blocks of a board and the graphs of a block that it knows.
LINK_VERSION, SLOTS, PLANS = 1, 4, 3
HASH_BYTES = 8
#: Added to a request's op in its reply; what comes without being asked for; and a refusal.
REPLY, PROGRESS, NAK = 0x80, 0xFE, 0xFF
HEADER = struct.Struct("<BBH")
_WRITE, _READ, _SPAN, _RUN = struct.Struct("<I"), struct.Struct("<IH"), struct.Struct("<II"), struct.Struct("<BBII")
_SETUP, _NAK = struct.Struct(f"<{HASH_BYTES}sII"), struct.Struct("<BHIII")
_INFO, _SLOT = struct.Struct("<HHIHIHH7I"), struct.Struct(f"<B{HASH_BYTES}sI")
#: Bytes of a payload that are none of the tensor's, in a request to write and in a reply to one to read.
WRITE_OVERHEAD, READ_OVERHEAD = HEADER.size + _WRITE.size, HEADER.size


class Op(enum.IntEnum):
    """What is asked for."""

    INFO, WRITE, READ, SETUP, RUN = 1, 2, 3, 4, 5


class Reason(enum.IntEnum):
    """Why a request was refused."""

    DAMAGED, OVERLONG, SEQUENCE, NO_SESSION, UNKNOWN, MALFORMED, RANGE = 1, 2, 3, 4, 5, 6, 7
    SLOT, PLAN_CRC, PLAN, NOT_SET_UP, RUN_NUMBER, INPUTS, RUN_FAILED = 8, 9, 10, 11, 12, 13, 14


class Request(NamedTuple):
    """A request but for its sequence number: op, slot, body."""

    op: Op
    slot: int
    body: bytes

    def payload(self, sequence: int) -> bytes:
        """The payload of its frame.

        Args:
            sequence: its number in the session, taken modulo 65536.
        """
        return HEADER.pack(self.op, self.slot, sequence & 0xFFFF) + self.body


class Span(NamedTuple):
    """A piece of the pool: offset and size in bytes."""

    offset: int
    size_bytes: int


class Reply(NamedTuple):
    """What came in a frame: op (with REPLY, or PROGRESS or NAK), slot, sequence number, body."""

    op: int
    slot: int
    sequence: int
    body: bytes


class Refusal(NamedTuple):
    """The body of a NAK: the reason, the sequence number that is due, the board's life, and two numbers on the reason."""

    reason: int
    due: int
    boot: int
    detail: int
    where: int


class SlotReport(NamedTuple):
    """A slot: whether a block is set up in it, that block's hash, and its last run."""

    in_use: bool
    hash: bytes
    run: int


@dataclass(frozen=True)
class BoardReport:
    """What a microcontroller says of itself, the reply to INFO.

    Attributes:
        link_version: of the protocol.
        plan_version: of the plans that it runs; 0 if it runs none.
        boot: names its life since the last restart; never 0.
        last: sequence number of the last request that it did.
        pool_bytes: memory for blocks.
        frame_bytes: longest payload that it takes and gives.
        credit_bytes: how much may be on its way to it.
        stack_bytes: of its stack; 0 if that grows by itself.
        stack_used: the most that was ever used.
        whole: requests that came whole since the restart.
        damaged: frames that did not.
        overlong: frames longer than `frame_bytes`.
        naks: requests that it refused.
        lost_bytes: what came faster than it could take.
        board: what it was built for.
        slots: places for blocks.
    """

    link_version: int
    plan_version: int
    boot: int
    last: int
    pool_bytes: int
    frame_bytes: int
    credit_bytes: int
    stack_bytes: int
    stack_used: int
    whole: int
    damaged: int
    overlong: int
    naks: int
    lost_bytes: int
    board: str
    slots: tuple[SlotReport, ...]


def info(nonce: int) -> Request:
    """Ask who it is, and begin a session at this request's sequence number.

    Args:
        nonce: a random number, below 2**32: it becomes the name of the board's life if it is the first to ask.
    """
    return Request(Op.INFO, 0, _WRITE.pack(nonce))


def write(slot: int, offset: int, data: bytes) -> Request:
    """Put bytes into the pool.

    Args:
        slot: of the block they are for.
        offset: where, in bytes from the pool's beginning.
        data: at most the board's `frame_bytes` - WRITE_OVERHEAD.
    """
    return Request(Op.WRITE, slot, _WRITE.pack(offset) + data)


def read(slot: int, offset: int, count: int) -> Request:
    """Get bytes of the pool.

    Args:
        slot: of the block they are of.
        offset: where.
        count: how many, at most the board's `frame_bytes` - READ_OVERHEAD.
    """
    return Request(Op.READ, slot, _READ.pack(offset, count))


def set_up(slot: int, block_hash: bytes, run: int, state: Span, arena: Span, plans: Sequence[tuple[Span, bytes]]) -> Request:
    """Make a block of plans that were written to the pool.

    Args:
        slot: where; a block that was there before is gone.
        block_hash: HASH_BYTES that the block is known by.
        run: number of the run after which this begins.
        state: what lasts.
        arena: inputs, outputs and what is in between.
        plans: PLANS places and contents, empty ones for graphs that the block does not have.
    """
    crc = 0
    for _, content in plans:
        crc = zlib.crc32(content, crc)
    spans = (state, arena, *(span for span, _ in plans))
    return Request(Op.SETUP, slot, _SETUP.pack(block_hash, run, crc) + b"".join(_SPAN.pack(*span) for span in spans))


def run(slot: int, plan: int, number: int, inputs: Sequence[tuple[Span, bytes]]) -> Request:
    """Run a plan once.

    Args:
        slot: of the block.
        plan: which one.
        number: of the run: one more than that of the last.
        inputs: places in the pool and what was written there.
    """
    crc = 0
    for _, content in inputs:
        crc = zlib.crc32(content, crc)
    spans = b"".join(_SPAN.pack(*span) for span, _ in inputs)
    return Request(Op.RUN, slot, _RUN.pack(plan, len(inputs), number, crc) + spans)


def parse_reply(payload: bytes) -> Reply:
    """Take a payload apart.

    Raises:
        WireError: it is shorter than a header.
    """
    if len(payload) < HEADER.size:
        raise WireError(f"a reply of {len(payload)} bytes is shorter than its header; flash the firmware of this release")
    return Reply(*HEADER.unpack_from(payload), payload[HEADER.size :])


def parse_refusal(body: bytes) -> Refusal:
    """The body of a NAK.

    Raises:
        WireError: it has another length.
    """
    if len(body) != _NAK.size:
        raise WireError(f"a refusal has {len(body)} bytes, not {_NAK.size}; flash the firmware of this release")
    return Refusal(*_NAK.unpack(body))


def parse_report(body: bytes) -> BoardReport:
    """The body of a reply to INFO.

    Raises:
        WireError: it is of another version of the protocol, or does not add up.
    """
    version = int.from_bytes(body[:2], "little")
    if len(body) >= 2 and version != LINK_VERSION:
        raise WireError(
            f"the firmware speaks version {version} of the protocol and this edgebll {LINK_VERSION}; "
            "build and flash it again: edgebll firmware build"
        )
    try:
        numbers = _INFO.unpack_from(body)
        name = _INFO.size + 1 + body[_INFO.size]
        board = body[_INFO.size + 1 : name].decode("ascii", "replace")
        slots = [_SLOT.unpack_from(body, name + 1 + index * _SLOT.size) for index in range(body[name])]
    except (struct.error, IndexError) as error:
        raise WireError(f"an INFO of {len(body)} bytes is too short; flash the firmware of this release") from error
    return BoardReport(*numbers, board=board, slots=tuple(SlotReport(bool(used), h, number) for used, h, number in slots))


def parse_run(body: bytes) -> tuple[int, int]:
    """Number of the run and its microseconds, of a reply to RUN.

    Raises:
        WireError: it has another length.
    """
    if len(body) != _SPAN.size:
        raise WireError(f"a reply to RUN has {len(body)} bytes, not {_SPAN.size}; flash the firmware of this release")
    number, micros = _SPAN.unpack(body)
    return number, micros
