"""Spikes as few bytes: float32 tensors of nothing but 0.0 and 1.0, and back to the very same bytes, without I/O.

    bits     one bit an element, in C order, the first in the lowest bit of the first byte; bits behind the last are 0
    events   an address-event list: for each 1.0 how many 0.0 stand between it and the one before, or the start. Such a number
             takes 7 bits a byte, lowest first; bit 7: another byte follows. Nothing stands for what follows the last 1.0

Events are taken where they are fewer bytes than bits: what is sent follows from the tensor alone, and what arrives is it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import WireError

BITS, EVENTS = "bits", "events"
CODINGS = (BITS, EVENTS)
#: A smaller tensor saves less than is worth a look.
MIN_ELEMENTS = 256
MIN_BYTES = 4 * MIN_ELEMENTS

_ONE = 0x3F800000  # 1.0; 0.0 is 0, and -0.0 is no spike
_LOOK_BYTES = 64
_FIRST, _CHUNK = 1 << 10, 1 << 16
_DIGITS = 4  # of 7 bits: more than the positions of the largest tensor need

Bytes = npt.NDArray[np.uint8]


def pack(raw: memoryview, events: bool = True, least: int = MIN_ELEMENTS) -> tuple[str, bytes] | None:
    """The shortest coding of a tensor, or None where it holds anything but spikes or is small.

    Args:
        raw: the tensor's bytes, float32, little-endian, in C order.
        events: whether an address-event list may be taken; default yes.
        least: elements of the smallest tensor that is not small; default MIN_ELEMENTS.

    Returns:
        The coding, and the tensor in it.
    """
    if len(raw) < 4 * least or any(raw[:_LOOK_BYTES:4]):  # most floats have something in their lowest bits
        return None
    words = np.frombuffer(raw, "<u4")
    if not _only_spikes(words):
        return None
    fired = words != 0
    bits = np.packbits(fired, bitorder="little").tobytes()
    shorter = _events(fired, len(bits)) if events else None
    return (BITS, bits) if shorter is None else (EVENTS, shorter)


def _only_spikes(words: npt.NDArray[Any]) -> bool:
    """Whether all are 0.0 or 1.0; the first few are looked at before the many."""
    start, size = 0, _FIRST
    while start < len(words):
        some = words[start : start + size]
        if np.count_nonzero(some == _ONE) != np.count_nonzero(some):
            return False
        start, size = start + size, _CHUNK
    return True


def _events(fired: npt.NDArray[np.bool_], below: int) -> bytes | None:
    """The address-event list, or None where it does not have fewer bytes than `below`."""
    if np.count_nonzero(fired) >= below:
        return None
    gaps = np.diff(np.flatnonzero(fired), prepend=-1) - 1
    digits = np.ones(len(gaps), np.int64)
    for place in range(1, _DIGITS):
        digits += gaps >= 1 << 7 * place
    ends = np.cumsum(digits)
    size = int(ends[-1]) if len(ends) else 0
    if size >= below:
        return None
    starts, coded = ends - digits, np.empty(size, np.uint8)
    for place in range(_DIGITS):
        has = digits > place
        more = (digits[has] > place + 1) * 0x80
        coded[starts[has] + place] = gaps[has] >> 7 * place & 0x7F | more
    return coded.tobytes()


def check_size(coding: str, elements: int, size: int) -> None:
    """Refuse a size that no tensor of so many elements has in this coding, before memory is taken.

    Raises:
        WireError: the coding is unknown, or the size does not fit.
    """
    if coding not in CODINGS:
        raise WireError(f"a tensor is coded as {coding[:40]!r}; expected {' or '.join(CODINGS)}")
    of_bits = (elements + 7) // 8
    if coding == BITS and size != of_bits:
        raise WireError(f"{elements} spikes as bits have {of_bits} bytes, and {size} are announced")
    if coding == EVENTS and not 0 <= size < of_bits:
        raise WireError(f"{elements} spikes as events have fewer than {of_bits} bytes, and {size} are announced")


def unpack(coding: str, part: bytes | bytearray | memoryview, elements: int) -> npt.NDArray[np.float32]:
    """The tensor again, flat; `check_size` was called.

    Raises:
        WireError: there is a bit or an event behind the last element, or a number that is cut short or longer than it need be.
    """
    coded = np.frombuffer(part, np.uint8)
    if coding == BITS:
        if elements % 8 and coded[-1] >> elements % 8:
            raise WireError(f"bits are set behind the last of {elements} spikes")
        return np.unpackbits(coded, count=elements, bitorder="little").astype(np.float32)
    places = np.cumsum(_gaps(coded) + 1) - 1
    if len(places) and places[-1] >= elements:
        raise WireError(f"an event lies behind the last of {elements} elements")
    values = np.zeros(elements, np.float32)
    values[places] = 1.0
    return values


def _gaps(coded: Bytes) -> npt.NDArray[np.int64]:
    """The numbers of an address-event list."""
    more = coded >= 0x80
    if not more.any():
        return coded.astype(np.int64)
    if more[-1]:
        raise WireError("the last number of an event list is cut short")
    ends = np.flatnonzero(~more)
    starts = np.concatenate(([0], ends[:-1] + 1))
    digits = ends - starts + 1
    if digits.max() > _DIGITS or np.any((digits > 1) & (coded[ends] == 0)):
        raise WireError("a number of an event list is longer than it need be")
    gaps = np.zeros(len(ends), np.int64)
    for place in range(_DIGITS):
        has = digits > place
        gaps[has] |= (coded[starts[has] + place] & 0x7F).astype(np.int64) << 7 * place
    return gaps
