"""Replies of microcontrollers as bytes, for whatever reads what a board answers."""

from __future__ import annotations

import struct

import numpy as np

from edgebll.kernel.wire.spike_coding import pack
from edgebll_devices.microcontroller.replies import parse_refusal, parse_reply, parse_report, parse_run, parse_spikes
from edgebll_devices.microcontroller.requests import CODINGS, HEADER, NAK, REPLY, Op

#: Numbers that a reply to READ_SPIKES stands for.
ELEMENTS = 512


def board_reply(data: bytes) -> None:
    """A reply, as its op says."""
    reply = parse_reply(data)
    if reply.op == NAK:
        parse_refusal(reply.body)
    elif reply.op == Op.INFO | REPLY:
        parse_report(reply.body)
    elif reply.op == Op.RUN | REPLY:
        parse_run(reply.body)
    elif reply.op == Op.READ_SPIKES | REPLY:
        parse_spikes(reply.body, ELEMENTS)


def _reply(op: int, body: bytes) -> bytes:
    return HEADER.pack(op, 0, 7) + body


def _spikes(every: int) -> bytes:
    packed = pack(memoryview((np.arange(ELEMENTS) % every == 0).astype("<f4").tobytes()))
    assert packed is not None
    number = {name: number for number, name in CODINGS.items()}[packed[0]]
    return bytes([number]) + packed[1]


_INFO = struct.pack("<HHIHIHH7I", 1, 2, 5, 7, 1 << 20, 1024, 4095, *[0] * 7) + b"\4host" + b"\1" + bytes(13)
#: One of each kind, of older firmware too.
BOARD_REPLIES = [
    *(_reply(Op.INFO | REPLY, _INFO + more) for more in (b"", b"\2", b"\2\1")),
    _reply(Op.RUN | REPLY, struct.pack("<II", 1, 1000)),
    _reply(NAK, struct.pack("<BHIII", 3, 8, 5, 0, 0)),
    *(_reply(Op.READ_SPIKES | REPLY, body) for body in (b"\0", _spikes(2), _spikes(300))),
]
