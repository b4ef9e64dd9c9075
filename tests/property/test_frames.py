"""Frames in a byte stream: whole payloads come out whatever the cuts; damage costs the damaged frames and nothing else."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgebll.kernel.errors import WireError
from edgebll.kernel.wire.serial_frames import FrameDecoder, decode_frame, encode_frame

_PAYLOADS = st.lists(st.binary(max_size=600), max_size=5)


def _cut(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


@given(_PAYLOADS, st.lists(st.integers(0, 1 << 16), max_size=8))
def test_any_cuts_give_the_same_payloads(payloads: list[bytes], cuts: list[int]) -> None:
    decoder = FrameDecoder()
    stream = b"".join(map(encode_frame, payloads))
    assert [payload for piece in _cut(stream, cuts) for payload in decoder.feed(piece)] == payloads
    assert decoder.damaged == 0


@given(st.binary(max_size=2000))
def test_frames_have_no_zeros_and_the_promised_length(payload: bytes) -> None:
    frame = encode_frame(payload)
    assert 0 not in frame[:-1]
    assert frame[-1] == 0
    assert len(frame) <= len(payload) + (len(payload) + 4) // 254 + 6


@given(st.binary(min_size=1, max_size=300), st.data())
def test_a_damaged_byte_is_found(payload: bytes, data: st.DataObject) -> None:
    frame = bytearray(encode_frame(payload))
    position = data.draw(st.integers(0, len(frame) - 2))
    frame[position] ^= data.draw(st.integers(1, 255))
    decoder = FrameDecoder()
    received = decoder.feed(bytes(frame) + encode_frame(b"next"))
    assert received == [b"next"]
    assert decoder.damaged >= 1


@pytest.mark.parametrize("payload", [b"", b"\x00\x00", b"abc\x00def", bytes(range(256)) * 2])
def test_truncation_at_every_byte_is_found(payload: bytes) -> None:
    frame = encode_frame(payload)
    for cut in range(len(frame) - 1):
        decoder = FrameDecoder()
        assert decoder.feed(frame[:cut] + b"\x00" + encode_frame(b"next")) == [b"next"]
        assert decoder.damaged == (cut > 0)  # nothing at all is an idle line


@settings(max_examples=300)
@given(st.binary(max_size=50))
def test_random_bytes_raise_nothing_but_wire_errors(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert encode_frame(decode_frame(data))
    FrameDecoder().feed(data)


@pytest.mark.parametrize("size", [1, 10, 249, 250, 253, 254, 255, 1000])
@pytest.mark.parametrize("fill", [b"\x00", b"\x01"])
def test_the_cap_is_exact(size: int, fill: bytes) -> None:
    decoder = FrameDecoder(max_payload_bytes=size)
    assert decoder.feed(encode_frame(fill * size)) == [fill * size]
    assert decoder.feed(encode_frame(fill * (size + 1))) == []
    assert decoder.damaged == 1
    assert decoder.feed(encode_frame(b"x")) == [b"x"]


def test_an_endless_frame_is_not_buffered() -> None:
    decoder = FrameDecoder(max_payload_bytes=100)
    for _ in range(1000):
        assert decoder.feed(b"\x55" * 100) == []
        assert len(decoder._buffer) <= 106
    assert decoder.feed(b"\x00" + encode_frame(b"next")) == [b"next"]
    assert decoder.damaged == 1
