"""Requests to a microcontroller, as bytes; docs/reference/microcontroller-link.md says what each means.

A payload is op u8, slot u8, sequence u16, and a body; all numbers little endian.
"""

from __future__ import annotations

import enum
import struct
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from edgebll.kernel.wire.spike_coding import BITS, EVENTS

#: Version of the protocol, and the blocks of a board and the graphs of a block that it knows.
LINK_VERSION, SLOTS, PLANS = 1, 4, 3
HASH_BYTES = 8
#: Added to a request's op in its reply; what comes without being asked for; and a refusal.
REPLY, PROGRESS, NAK = 0x80, 0xFE, 0xFF
HEADER = struct.Struct("<BBH")
_WRITE, _READ, _SPAN, _RUN = struct.Struct("<I"), struct.Struct("<IH"), struct.Struct("<II"), struct.Struct("<BBII")
_SETUP, _SPIKES = struct.Struct(f"<{HASH_BYTES}sII"), struct.Struct("<IH")
#: Bytes of a payload that are none of the tensor's, in a request to write and in a reply to one to read.
WRITE_OVERHEAD, READ_OVERHEAD = HEADER.size + _WRITE.size, HEADER.size
#: The same of spikes.
SPIKES_WRITE_OVERHEAD, SPIKES_READ_OVERHEAD = HEADER.size + _SPIKES.size + 1, HEADER.size + 1
#: Codings of spikes by their numbers on the line; 0 tells of other numbers.
CODINGS = {1: BITS, 2: EVENTS}
_NUMBERS = {coding: number for number, coding in CODINGS.items()}
#: Most elements of one request for spikes.
MAX_SPIKES = 0xFFFF


class Op(enum.IntEnum):
    """What is asked for."""

    INFO, WRITE, READ, SETUP, RUN, WRITE_SPIKES, READ_SPIKES = 1, 2, 3, 4, 5, 6, 7


class BoardRequest(NamedTuple):
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


def info(nonce: int) -> BoardRequest:
    """Ask who it is, and begin a session at this request's sequence number.

    Args:
        nonce: a random number, below 2**32: it becomes the name of the board's life if it is the first to ask.
    """
    return BoardRequest(Op.INFO, 0, _WRITE.pack(nonce))


def write(slot: int, offset: int, data: bytes) -> BoardRequest:
    """Put bytes into the pool.

    Args:
        slot: of the block they are for.
        offset: where, in bytes from the pool's beginning.
        data: at most the board's `frame_bytes` - WRITE_OVERHEAD.
    """
    return BoardRequest(Op.WRITE, slot, _WRITE.pack(offset) + data)


def read(slot: int, offset: int, count: int) -> BoardRequest:
    """Get bytes of the pool.

    Args:
        slot: of the block they are of.
        offset: where.
        count: how many, at most the board's `frame_bytes` - READ_OVERHEAD.
    """
    return BoardRequest(Op.READ, slot, _READ.pack(offset, count))


def write_spikes(slot: int, offset: int, elements: int, coding: str, data: bytes) -> BoardRequest:
    """Put float32 numbers that are spikes into the pool.

    Args:
        slot: of the block they are for.
        offset: where, in bytes from the pool's beginning.
        elements: how many numbers, at most MAX_SPIKES.
        coding: of the bytes, as `spike_coding` names them.
        data: at most the board's `frame_bytes` - SPIKES_WRITE_OVERHEAD.
    """
    return BoardRequest(Op.WRITE_SPIKES, slot, _SPIKES.pack(offset, elements) + bytes([_NUMBERS[coding]]) + data)


def read_spikes(slot: int, offset: int, elements: int) -> BoardRequest:
    """Get float32 numbers of the pool, if they are spikes.

    Args:
        slot: of the block they are of.
        offset: where.
        elements: how many, at most MAX_SPIKES, and as bits at most the board's `frame_bytes` - SPIKES_READ_OVERHEAD.
    """
    return BoardRequest(Op.READ_SPIKES, slot, _SPIKES.pack(offset, elements))


def set_up(
    slot: int, block_hash: bytes, run: int, state: Span, arena: Span, plans: Sequence[tuple[Span, bytes]]
) -> BoardRequest:
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
    return BoardRequest(Op.SETUP, slot, _SETUP.pack(block_hash, run, crc) + b"".join(_SPAN.pack(*span) for span in spans))


def run(slot: int, plan: int, number: int, inputs: Sequence[tuple[Span, bytes]]) -> BoardRequest:
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
    return BoardRequest(Op.RUN, slot, _RUN.pack(plan, len(inputs), number, crc) + spans)
