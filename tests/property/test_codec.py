"""Messages: what goes in comes out; whatever else comes in is refused with a WireError, without taking much memory."""

from __future__ import annotations

import contextlib
import dataclasses
import struct
import tracemalloc
from typing import Any, get_type_hints

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from support.messages import example_messages, same

from edgebll.kernel.errors import WireError
from edgebll.kernel.spec.file_entry import MAX_FILE_BYTES, FileEntry
from edgebll.kernel.spec.manifest import DTYPES, MAX_NAME_CHARS, MAX_RANK
from edgebll.kernel.wire import MESSAGE_TYPES, PROTOCOL_VERSION, TOKEN_KINDS, Message, Neighbour, Ping, State, Stop
from edgebll.kernel.wire.check_messages import MAX_ADDRESSES, MAX_PROBE_BYTES, MAX_PROBE_S
from edgebll.kernel.wire.codec import MAX_HEADER_BYTES, decode, encode, join, payload_bytes, split
from edgebll.kernel.wire.tensor_parts import MAX_TENSORS

_EXAMPLES = example_messages()
_TEXT = st.text(max_size=20)
_INT = st.integers(-(1 << 63), (1 << 64) - 1)
_ENTRIES = st.builds(FileEntry, st.binary(min_size=32, max_size=32).map(bytes.hex), st.integers(0, MAX_FILE_BYTES))
_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    int: _INT,
    float: st.floats(),
    bool: st.booleans(),
    bytes: st.binary(max_size=50),
    tuple[str, ...]: st.lists(_TEXT, max_size=4).map(tuple),
    dict[str, str]: st.dictionaries(_TEXT, _TEXT, max_size=4),
    dict[str, int]: st.dictionaries(_TEXT, _INT, max_size=4),
    dict[str, float]: st.dictionaries(_TEXT, st.floats(), max_size=4),
    tuple[Neighbour, ...]: st.lists(
        st.builds(Neighbour, _TEXT, st.lists(_TEXT, max_size=MAX_ADDRESSES).map(tuple), st.none() | _TEXT), max_size=3
    ).map(tuple),
    dict[str, FileEntry]: st.dictionaries(_TEXT, _ENTRIES, max_size=4),
}
_ARRAYS = st.sampled_from(DTYPES).flatmap(
    lambda dtype: nps.arrays(dtype, nps.array_shapes(min_dims=0, max_dims=MAX_RANK, min_side=0, max_side=3))
)
_NAMES = st.text(min_size=1, max_size=MAX_NAME_CHARS)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Any message: every type, every field, any tensors."""
    cls = draw(st.sampled_from(sorted(MESSAGE_TYPES.values(), key=lambda cls: cls.__name__)))
    hints = get_type_hints(cls)
    names = [field.name for field in dataclasses.fields(cls) if field.name != "tensors"]
    values = {name: draw(_VALUES[hints[name]]) for name in names}
    if "kind" in values and cls.__name__ == "Token":
        values["kind"] = draw(st.sampled_from(TOKEN_KINDS))
    if cls.__name__ == "Reach":
        values |= {"payload_bytes": draw(st.integers(1, MAX_PROBE_BYTES)), "limit_s": draw(st.floats(0.01, MAX_PROBE_S))}
    return cls(**values, tensors=draw(st.dictionaries(_NAMES, _ARRAYS, max_size=3)))


@settings(max_examples=200, deadline=None)
@given(messages())
def test_round_trip(message: Message) -> None:
    parts = encode(message)
    assert same(decode(parts), message)
    assert same(decode(split(join(parts))), message)
    assert sum(len(part) for part in parts[1:]) == payload_bytes(message)


def test_large_tensors_are_not_copied() -> None:
    big = np.zeros((64, 1024), np.float32)
    _, part = encode(State("r", "b", 0, 0, True, tensors={"w": big}))
    assert np.shares_memory(np.frombuffer(part, np.uint8), big)
    buffer = bytearray(part)
    message = decode([encode(State("r", "b", 0, 0, True, tensors={"w": big}))[0], buffer])
    assert np.shares_memory(message.tensors["w"], np.frombuffer(buffer, np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        message.tensors["w"][0, 0] = 1


def test_any_layout_and_byte_order_is_sent_as_the_same_numbers() -> None:
    plain = np.arange(24, dtype=np.float32).reshape(4, 6)
    wide = np.zeros((8, 12), np.float32)
    wide[::2, ::2] = plain
    for array in (plain.astype(">f4"), np.asfortranarray(plain), wide[::2, ::2]):
        arrived = decode(encode(State("r", "b", 0, 0, True, tensors={"w": array}))).tensors["w"]
        assert arrived.dtype == np.float32
        np.testing.assert_array_equal(arrived, plain)


def test_unaligned_parts_become_aligned_arrays() -> None:
    header, part = encode(State("r", "b", 0, 0, True, tensors={"w": np.arange(5, dtype=np.float32)}))
    for offset in range(1, 8):
        shifted = memoryview(bytes(offset) + bytes(part))[offset:]
        value = decode([header, shifted]).tensors["w"]
        assert value.flags.aligned
        np.testing.assert_array_equal(value, np.arange(5))


@pytest.mark.parametrize("name", sorted(_EXAMPLES))
def test_truncation_at_every_byte_is_refused(name: str) -> None:
    joined = join(encode(_EXAMPLES[name]))
    for cut in range(len(joined)):
        with pytest.raises(WireError):
            decode(split(joined[:cut]))
    with pytest.raises(WireError):
        decode(split(joined + b"\0"))


@pytest.mark.parametrize("name", sorted(_EXAMPLES))
def test_corruption_of_every_byte_gives_a_message_or_a_wire_error(name: str) -> None:
    joined = join(encode(_EXAMPLES[name]))
    for position in range(len(joined)):
        for flip in (0x01, 0x80, 0xFF):
            damaged = bytearray(joined)
            damaged[position] ^= flip
            with contextlib.suppress(WireError):
                assert isinstance(decode(split(bytes(damaged))), Message)


_PLAIN = st.recursive(
    st.none() | st.booleans() | _INT | st.floats() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5) | st.binary(max_size=3), inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(_PLAIN, st.tuples(st.just(1), st.integers(0, 17), _PLAIN, _PLAIN)), st.lists(st.binary(max_size=9), max_size=2)
)
def test_any_msgpack_value_gives_a_message_or_a_wire_error(header: Any, parts: list[bytes]) -> None:
    with contextlib.suppress(WireError):
        assert isinstance(decode([msgpack.packb(header), *parts]), Message)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_random_bytes_are_refused(data: bytes) -> None:
    for attempt in (lambda: decode([data]), lambda: decode(split(data))):
        with pytest.raises(WireError):
            attempt()


def _header(fields: Any = None, specs: Any = (), version: Any = PROTOCOL_VERSION, number: Any = 14) -> bytes:
    packed: bytes = msgpack.packb([version, number, {"run": "r"} if fields is None else fields, specs])
    return packed


def test_the_header_made_here_is_a_message() -> None:
    assert decode([_header()]) == Stop("r")


_HOSTILE = {
    "no parts": [],
    "another version": [_header(version=PROTOCOL_VERSION + 1)],
    "a float as version": [_header(version=1.0)],
    "a truth value as number": [_header({"sent_ns": 1}, number=True)],
    "an unknown number": [_header(number=99)],
    "a number that is no index": [_header(number=[])],
    "tensors in the fields": [_header({"run": "r", "tensors": {}})],
    "an unknown field": [_header({"run": "r", "x" * 100_000: 1})],
    "a missing field": [_header({})],
    "a wrong type": [_header({"run": 5})],
    "a deeply nested value": [_header({"run": b""}).replace(b"\xc4\x00", b"\x91" * 900 + b"\xc0")],
    "keys that are bytes": [_header({b"run": "r"})],
    "more parts than tensors": [_header(), b""],
    "fewer parts than tensors": [_header(specs=[["w", "uint8", [1]]])],
    "a part too short": [_header(specs=[["w", "float32", [1]]]), b"123"],
    "a tensor twice": [_header(specs=[["w", "uint8", [0]]] * 2), b"", b""],
    "a negative size": [_header(specs=[["w", "uint8", [-1]]]), b""],
    "a size beyond the cap": [_header(specs=[["w", "uint8", [1 << 31]]]), b""],
    "a size that no array has": [_header(specs=[["w", "uint8", [0, 1 << 63]]]), b""],
    "sizes that overflow": [_header(specs=[["w", "float32", [1 << 32, 1 << 32]]]), b""],
    "a truth value as size": [_header(specs=[["w", "uint8", [True]]]), b"1"],
    "an unknown dtype": [_header(specs=[["w", "object", [1]]]), b"12345678"],
    "a long dtype": [_header(specs=[["w", "float" * 100_000, [1]]]), b"12345678"],
    "a nameless tensor": [_header(specs=[["", "uint8", [0]]]), b""],
    "an overlong name": [_header(specs=[["n" * (MAX_NAME_CHARS + 1), "uint8", [0]]]), b""],
    "too many axes": [_header(specs=[["w", "uint8", [1] * (MAX_RANK + 1)]]), b"1"],
    "too many tensors": [_header(specs=[[f"{i}", "uint8", [0]] for i in range(MAX_TENSORS + 1)])],
    "truth values other than 0 and 1": [_header(specs=[["w", "bool", [2]]]), b"\x01\x02"],
    "a header beyond the cap": [b"\xc1" * (MAX_HEADER_BYTES + 1)],
    "an extension type": [msgpack.packb([PROTOCOL_VERSION, 14, {"run": msgpack.ExtType(5, b"x")}, []])],
    "text that is not UTF-8": [_header({"run": "rr"}).replace(b"\xa2rr", b"\xa2\xff\xfe")],
    "bytes behind the header": [_header() + b"\xc0"],
}


@pytest.mark.parametrize("case", sorted(_HOSTILE))
def test_hostile_messages_are_refused_in_one_short_sentence(case: str) -> None:
    with pytest.raises(WireError) as caught:
        decode(_HOSTILE[case])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


_BOMBS = {
    "nested arrays": (b"\xdd\x00\x0f\xff\xff") * 1000,
    "nested maps": (b"\xdf\x00\x0f\xff\xff\xa1a") * 1000,
    "nested arrays at the cap": (b"\xdd" + struct.pack(">I", MAX_TENSORS)) * 1000 + bytes(MAX_TENSORS),
    "a long text": b"\xdb\x7f\xff\xff\xff",
    "many bytes": b"\xc6\xff\xff\xff\xff",
    "a large tensor": _header(specs=[["w", "uint8", [1 << 30]]]),
}


@pytest.mark.parametrize("case", sorted(_BOMBS))
def test_announced_sizes_take_no_memory(case: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode([_BOMBS[case]])
        with pytest.raises(WireError):
            split(struct.pack("<I", len(_BOMBS[case])) + _BOMBS[case])
        assert tracemalloc.get_traced_memory()[1] < 48 << 20
    finally:
        tracemalloc.stop()


def test_what_cannot_be_sent_is_refused() -> None:
    unfit: list[Message] = [
        Ping(1 << 64),
        Stop("\ud800"),
        Stop("x" * MAX_HEADER_BYTES),
        Stop("r", tensors={"w": np.zeros(1, np.float64)}),
        Stop("r", tensors={"w": np.array([None])}),
        Stop("r", tensors={"n" * (MAX_NAME_CHARS + 1): np.zeros(1, np.uint8)}),
        Stop("r", tensors={str(i): np.zeros(0, np.uint8) for i in range(MAX_TENSORS + 1)}),
    ]
    for message in unfit:
        with pytest.raises(WireError):
            encode(message)
