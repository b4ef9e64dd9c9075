"""Spikes as few bytes: what arrives has the very same bytes, the coding is the shortest of the three, damage is refused."""

from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebll.kernel.errors import WireError
from edgebll.kernel.wire import PROTOCOL_VERSION, Stop
from edgebll.kernel.wire.codec import decode, encode, join, payload_bytes, split
from edgebll.kernel.wire.spike_coding import BITS, CODINGS, EVENTS, MIN_ELEMENTS, check_size, unpack
from edgebll.kernel.wire.tensor_parts import MAX_EVENT_TENSOR_BYTES


def sent(*values: npt.NDArray[Any], spikes: bool = True) -> tuple[list[list[Any]], list[bytes]]:
    """What the header says of tensors, and their parts."""
    header, *parts = encode(Stop("r", tensors={f"t{i}": value for i, value in enumerate(values)}), spikes=spikes)
    return msgpack.unpackb(header)[3], [bytes(part) for part in parts]


def events_of(value: npt.NDArray[Any]) -> bytes:
    """An address-event list by plain loops, from what the reference says of it."""
    coded, zeros = bytearray(), 0
    for element in value.reshape(-1).tolist():
        if element == 0.0:
            zeros += 1
            continue
        while zeros >= 128:
            coded.append(zeros % 128 + 128)
            zeros //= 128
        coded.append(zeros)
        zeros = 0
    return bytes(coded)


def bits_of(value: npt.NDArray[Any]) -> bytes:
    """The bits by plain loops."""
    coded = bytearray((value.size + 7) // 8)
    for index, element in enumerate(value.reshape(-1).tolist()):
        coded[index // 8] |= int(element) << index % 8
    return bytes(coded)


@st.composite
def trains(draw: st.DrawFn) -> npt.NDArray[np.float32]:
    """Spikes at any rate, also long silences and bursts."""
    size = draw(st.integers(1, 3000))
    rate = draw(st.sampled_from([0.0, 0.0005, 0.01, 0.05, 0.1, 0.125, 0.2, 0.5, 1.0]))
    value = np.random.default_rng(draw(st.integers(0, 9999))).random(size) < rate
    if draw(st.booleans()):
        value[draw(st.integers(0, size)) :] = draw(st.booleans())
    return value.astype(np.float32)


@settings(max_examples=150, deadline=None)
@given(trains())
def test_the_shortest_coding_is_sent_and_the_same_bytes_arrive(value: npt.NDArray[np.float32]) -> None:
    ((_, _, _, *coding),), (part,) = sent(value)
    bits, events = bits_of(value), events_of(value)
    if value.size < MIN_ELEMENTS:
        assert (coding, part) == ([], value.tobytes())
    elif len(events) < len(bits):
        assert (coding, part) == ([EVENTS, len(events)], events)
    else:
        assert (coding, part) == ([BITS, len(bits)], bits)
    message = Stop("r", tensors={"x": value})
    for parts in (encode(message, spikes=True), split(join(encode(message, spikes=True)))):
        arrived = decode(parts).tensors["x"]
        assert (arrived.dtype, arrived.shape, arrived.tobytes()) == (np.float32, value.shape, value.tobytes())
        assert arrived.flags.aligned
        assert not arrived.flags.writeable
    assert payload_bytes(message) == value.nbytes


@pytest.mark.parametrize(
    "odd", [-0.0, 0.5, -1.0, 2.0, float("nan"), float("inf"), 1e-45, np.nextafter(np.float32(1), np.float32(2))]
)
@pytest.mark.parametrize("place", [0, 17, 1023, 1024, 69_999])
def test_what_holds_anything_else_is_sent_as_it_is(odd: float, place: int) -> None:
    value = (np.arange(70_000) % 7 == 0).astype(np.float32)
    value[place] = odd
    (spec,), (part,) = sent(value)
    assert (spec, part) == (["t0", "float32", [70_000]], value.tobytes())


def test_other_dtypes_and_peers_that_do_not_know_it_get_bytes_as_they_are() -> None:
    value = np.zeros(1000, np.float32)
    whole: list[npt.NDArray[Any]] = [np.zeros(1000, np.float16), np.zeros(1000, np.int64), np.zeros(1000, bool)]
    assert all(len(spec) == 3 for spec in sent(*whole)[0])
    assert sent(value, spikes=False) == ([["t0", "float32", [1000]]], [value.tobytes()])
    strided = np.zeros((60, 40), np.float32)[::2, ::2]
    strided[3, 5] = 1.0
    assert sent(strided)[1] == [events_of(strided)] == [b"\x41"]


def test_events_of_one_message_stand_for_so_much_and_what_is_more_comes_as_bits() -> None:
    half = np.zeros(MAX_EVENT_TENSOR_BYTES // 8, np.float32)
    specs, parts = sent(half, half, half, np.zeros(300, np.float32))
    assert [spec[3] for spec in specs] == [EVENTS, EVENTS, BITS, BITS]
    assert len(parts[2]) == half.size // 8


_BAD: dict[str, tuple[str, int, bytes]] = {
    "an unknown coding": ("zip", 2, b"ab"),
    "bits too many": (BITS, 16, bytes(3)),
    "a bit behind the last": (BITS, 9, b"\0\2"),
    "events that bits are shorter than": (EVENTS, 16, bytes(2)),
    "an event behind the last": (EVENTS, 100, b"\x63\0"),
    "a number cut short": (EVENTS, 1000, b"\1\x80"),
    "a number of five digits": (EVENTS, 1000, b"\x80\x80\x80\x80\1"),
    "a number longer than it need be": (EVENTS, 1000, b"\x81\0"),
}


@pytest.mark.parametrize("case", sorted(_BAD))
def test_what_is_no_such_tensor_is_refused_in_one_sentence(case: str) -> None:
    coding, elements, part = _BAD[case]
    header = msgpack.packb([PROTOCOL_VERSION, 14, {"run": "r"}, [["x", "float32", [elements], coding, len(part)]]])
    with pytest.raises(WireError) as caught:
        decode([header, part])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "more", [["uint8", [16], BITS, 2], ["float32", [16], BITS], ["float32", [16], 1, 2], ["float32", [16], BITS, True]]
)
def test_what_a_header_says_of_a_coding_is_checked(more: list[Any]) -> None:
    with pytest.raises(WireError, match="a message's tensor"):
        decode([msgpack.packb([PROTOCOL_VERSION, 14, {"run": "r"}, [["x", *more]]]), bytes(2)])


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(CODINGS), st.integers(0, 400), st.binary(max_size=50))
def test_any_bytes_are_spikes_or_refused(coding: str, elements: int, part: bytes) -> None:
    with contextlib.suppress(WireError):
        check_size(coding, elements, len(part))
        value = unpack(coding, part, elements)
        assert value.shape == (elements,)
        assert part == (bits_of(value) if coding == BITS else events_of(value)), "each tensor has one list, and one row of bits"
