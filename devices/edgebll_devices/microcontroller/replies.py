"""What a microcontroller answers, taken apart; docs/reference/microcontroller-link.md says what each means."""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import WireError
from edgebll.kernel.spec.firmware_profiles import EXACT, FAST, PROFILES
from edgebll.kernel.spec.plan_versions import INT8_VERSION
from edgebll.kernel.wire.spike_coding import check_size, unpack
from edgebll_devices.microcontroller.requests import CODINGS, HASH_BYTES, HEADER, LINK_VERSION

_NAK, _RUN = struct.Struct("<BHIII"), struct.Struct("<II")
_INFO, _SLOT = struct.Struct("<HHIHIHH7I"), struct.Struct(f"<B{HASH_BYTES}sI")
#: In the byte of INFO that tells what else the firmware can.
_ABLE_SPIKES = 1
#: The reply to READ_SPIKES where there are other numbers, too.
_OTHERS = b"\0"


class Reason(enum.IntEnum):
    """Why a request was refused."""

    DAMAGED, OVERLONG, SEQUENCE, NO_SESSION, UNKNOWN, MALFORMED, RANGE = 1, 2, 3, 4, 5, 6, 7
    SLOT, PLAN_CRC, PLAN, NOT_SET_UP, RUN_NUMBER, INPUTS = 8, 9, 10, 11, 12, 13


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
        plan_version: newest of the plans that it runs, besides all before it; 0 if it runs none.
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
        profile: one of `PROFILES`; firmware that does not say is "exact", and one that is not known promises no bits: "fast".
        spikes: whether it writes and reads spikes in few bytes; firmware that does not say does not.
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
    profile: str = EXACT
    spikes: bool = False

    @property
    def kind(self) -> str:
        """Its profile, whether it runs plans that compute with integers, and whether it was built for spikes, in words."""
        able = {"int8": self.plan_version >= INT8_VERSION, "sparse": self.spikes}
        return ", ".join([self.profile, *(name for name, is_so in able.items() if is_so)])


def parse_reply(payload: bytes) -> Reply:
    """Take a payload apart.

    Raises:
        WireError: it is shorter than a header.
    """
    if len(payload) < HEADER.size:
        raise WireError(f"a reply of {len(payload)} bytes is shorter than its header; flash the firmware of this release")
    op, slot, sequence = HEADER.unpack_from(payload)
    return Reply(op, slot, sequence, payload[HEADER.size :])


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
    end = name + 1 + body[name] * _SLOT.size
    profile = EXACT if end >= len(body) else PROFILES[body[end] - 1] if 0 < body[end] <= len(PROFILES) else FAST
    reports = tuple(SlotReport(bool(used), block_hash, number) for used, block_hash, number in slots)
    spikes = end + 1 < len(body) and bool(body[end + 1] & _ABLE_SPIKES)
    fields: list[Any] = [*numbers, board, reports, profile, spikes]
    return BoardReport(*fields)


def parse_spikes(body: bytes, elements: int) -> npt.NDArray[np.float32] | None:
    """The numbers of a reply to READ_SPIKES; None where they are not spikes.

    Args:
        body: of the reply.
        elements: how many were asked for.

    Raises:
        WireError: it is no such reply.
    """
    if body == _OTHERS:
        return None
    try:
        coding, data = CODINGS.get(body[0], "") if body else "", body[1:]
        check_size(coding, elements, len(data))
        return unpack(coding, data, elements)
    except WireError as error:
        raise WireError(f"a microcontroller answers with no spikes: {error}; flash the firmware of this release") from error


def parse_run(body: bytes) -> tuple[int, int]:
    """Number of the run and its microseconds, of a reply to RUN.

    Raises:
        WireError: it has another length.
    """
    if len(body) != _RUN.size:
        raise WireError(f"a reply to RUN has {len(body)} bytes, not {_RUN.size}; flash the firmware of this release")
    number, micros = _RUN.unpack(body)
    return number, micros
