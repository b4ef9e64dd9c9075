"""Messages to bytes and back, without I/O.

A message is a header and one part a tensor:

    header  msgpack array [protocol version, message number, fields as a map, tensors as in tensor_parts.py]
    part i  the bytes of tensor i

ZeroMQ carries the parts as frames of one multipart message (`encode` / `decode`). Byte streams carry them joined behind the
header's length (`join` / `split`), inside the frames of frames.py:

    [header length u32 LE][header][part 0][part 1]...

Every count and size is checked against its cap before memory is taken. Decoded arrays are read-only, and views of the bytes
wherever those are aligned.
"""

from __future__ import annotations

import dataclasses
import math
import struct
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import msgpack
import numpy as np

from edgebll.kernel.errors import WireError
from edgebll.kernel.support.plain_dataclasses import from_plain, short, to_plain
from edgebll.kernel.wire import MESSAGE_TYPES, PROTOCOL_VERSION, Failure, Message
from edgebll.kernel.wire.tensor_parts import MAX_TENSORS, Buffer, TensorPart, check_specs, pack_spikes, raw, spec_of, tensor

MAX_HEADER_BYTES = 4 << 20
#: Of each text in a header. What a Failure says is cut to it; any other text that is longer is refused.
MAX_TEXT_BYTES = 16 << 10
#: Items of all lists and tables of a header together; each takes many times the memory of its bytes.
MAX_ITEMS = 1 << 16
#: A header of fewer bytes cannot have MAX_ITEMS.
_SMALL_HEADER_BYTES = MAX_ITEMS

_NUMBERS = {cls: number for number, cls in MESSAGE_TYPES.items()}
_LATER = {cls: [each.name for each in dataclasses.fields(cls) if each.metadata.get("later")] for cls in _NUMBERS}
_LENGTH = struct.Struct("<I")


def encode(message: Message, *, spikes: bool = False) -> list[Buffer]:
    """Encode a message as [header, part, ...]; parts are views of the arrays, so they must not change until sent.

    Args:
        message: what to send.
        spikes: whether tensors of nothing but 0.0 and 1.0 may become `spike_coding`s, for a peer that knows them; default no.

    Raises:
        WireError: the message exceeds a cap or holds an array of an unknown dtype.
    """
    fields = _fields(message)
    specs = [spec_of(name, value) for name, value in message.tensors.items()]
    check_specs(specs)
    parts: list[Buffer] = [raw(value) for value in message.tensors.values()]
    if spikes:
        pack_spikes(specs, parts)
    try:
        header: bytes = msgpack.packb([PROTOCOL_VERSION, _NUMBERS[type(message)], fields, specs], use_bin_type=True)
    except (OverflowError, ValueError) as error:  # an int beyond 64 bits, a text that is not Unicode
        raise WireError(f"a {type(message).__name__} cannot be sent ({error})") from error
    if len(header) > MAX_HEADER_BYTES:
        raise WireError(f"a message header of {len(header)} bytes exceeds the cap of {MAX_HEADER_BYTES}")
    if len(header) > MAX_TEXT_BYTES:  # a smaller one has no text of that length
        _check_texts(fields, type(message).__name__)
    return [header, *parts]


def _fields(message: Message) -> dict[str, Any]:
    left_out = {"tensors", *(name for name in _LATER[type(message)] if not getattr(message, name))}
    fields = {name: to_plain(value) for name, value in vars(message).items() if name not in left_out}
    if isinstance(message, Failure):  # told to people: better cut than lost
        fields["message"] = message.message.encode("utf-8", "replace")[:MAX_TEXT_BYTES].decode("utf-8", "ignore")
    return fields


def _check_texts(value: Any, what: str) -> None:
    """Refuse to send what the other side refuses to read."""
    if isinstance(value, str) and len(value.encode("utf-8", "replace")) > MAX_TEXT_BYTES:
        raise WireError(f"a {what} with a text of {len(value)} characters cannot be sent; the cap is {MAX_TEXT_BYTES} bytes")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_texts(key, what)
            _check_texts(item, what)
    elif isinstance(value, list):
        for item in value:
            _check_texts(item, what)


def decode(parts: Sequence[Buffer]) -> Message:
    """Decode [header, part, ...].

    Raises:
        WireError: wrong version, unknown message, malformed field, a cap exceeded, parts that do not fit the header.
    """
    if not parts:
        raise WireError("an empty message arrived; expected a header")
    number, fields, specs = _header(parts[0])
    cls = MESSAGE_TYPES.get(number)
    if cls is None:
        raise WireError(f"message number {number!r} is unknown; is the peer a newer edgebll?")
    if len(parts) != len(specs) + 1:
        raise WireError(f"a {cls.__name__} announced {len(specs)} tensors and carries {len(parts) - 1}")
    tensors = dict(tensor(spec, part) for spec, part in zip(specs, parts[1:], strict=True))
    if "tensors" in fields:
        raise WireError(f"a {cls.__name__} has a field 'tensors' in its header")
    try:
        message = from_plain(cls, fields, cls.__name__)
    except ValueError as error:  # PlainError, or the message itself refuses the values
        raise WireError(f"a malformed message arrived: {error}") from error
    object.__setattr__(message, "tensors", tensors)
    return message


def _header(data: Buffer) -> tuple[int, dict[str, Any], list[TensorPart]]:
    if len(data) > MAX_HEADER_BYTES:
        raise WireError(f"a message header of {len(data)} bytes exceeds the cap of {MAX_HEADER_BYTES}")
    try:
        header = msgpack.unpackb(data, **_LIMITS, **_count_items(len(data)))
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise WireError(f"a message header is not msgpack ({str(error) or type(error).__name__})") from error
    if not (isinstance(header, list) and len(header) == 4):
        raise WireError("a message header is not [version, number, fields, tensors]")
    version, number, fields, specs = header
    if type(version) is not int or version != PROTOCOL_VERSION:
        raise WireError(f"the peer speaks protocol {short(version)}, this edgebll {PROTOCOL_VERSION}; install the same release")
    if type(number) is not int or not isinstance(fields, dict):
        raise WireError("a message header is not [version, number, fields, tensors]")
    return number, fields, check_specs(specs)


_LIMITS = {
    "strict_map_key": True,
    "max_str_len": MAX_TEXT_BYTES,
    "max_array_len": MAX_TENSORS,
    "max_map_len": MAX_TENSORS,
    "max_ext_len": 0,
}


def _count_items(size: int) -> dict[str, Callable[[Any], Any]]:
    """Hooks for msgpack that end the reading of a large header with too many items."""
    if size <= _SMALL_HEADER_BYTES:
        return {}
    left = MAX_ITEMS

    def count(items: Any) -> Any:
        nonlocal left
        left -= len(items) + 1
        if left < 0:
            raise ValueError(f"more than {MAX_ITEMS} items")
        return items

    return {"list_hook": count, "object_hook": count}


def join(parts: Sequence[Buffer]) -> bytes:
    """Join the parts of `encode` for a byte stream: [header length u32 LE][header][part]..."""
    return b"".join([_LENGTH.pack(len(parts[0])), *parts])


def split(data: Buffer) -> list[Buffer]:
    """Undo `join`, by the sizes the header announces.

    Raises:
        WireError: too short or too long, or a malformed header.
    """
    view = memoryview(data)
    if len(view) < _LENGTH.size:
        raise WireError(f"a message of {len(view)} bytes is too short for its header's length")
    (length,) = _LENGTH.unpack(view[: _LENGTH.size])
    header = view[_LENGTH.size : _LENGTH.size + length]
    if len(header) != length:
        raise WireError(f"a message header should have {length} bytes and has {len(header)}")
    specs = _header(header)[2]
    sizes = [part.size_bytes for part in specs]
    rest = view[_LENGTH.size + length :]
    if len(rest) != sum(sizes):
        raise WireError(f"a message's tensors should have {sum(sizes)} bytes and have {len(rest)}")
    ends = np.cumsum([0, *sizes]).tolist()
    return [header, *(rest[start:end] for start, end in pairwise(ends))]


def payload_bytes(message: Message) -> int:
    """Bytes of the tensors of a message, for traffic statistics."""
    return sum(math.prod(value.shape) * value.dtype.itemsize for value in message.tensors.values())
