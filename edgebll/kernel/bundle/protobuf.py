"""A strict reader of protocol buffers: bytes and a schema in, a dict out. Knows nothing of ONNX.

The wire format is a sequence of fields, each a varint key (field number << 3 | wire type) and a value: wire type 0 a varint,
1 eight bytes, 2 a varint length and that many bytes, 5 four bytes. Fields the schema does not know are skipped, as the format's
rules for later versions ask; everything else that is odd is refused. A parsed field takes many times the memory of its
bytes, so their number is capped too.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgebll.kernel.errors import BundleError

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_WIRE = {"int": _VARINT, "float": _FIXED32, "bytes": _BYTES, "text": _BYTES, "message": _BYTES}
_MAX_VARINT_BYTES = 10
#: Fields and packed numbers of one file; the largest graph edgebll exports has a few thousand.
MAX_VALUES = 1 << 18


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Attributes:
        name: key in the result.
        kind: "int" (int32, int64, enum), "float", "bytes" (memoryview), "text" or "message".
        repeated: the result is a list, empty where the field does not occur; otherwise a missing field is a missing key.
        schema: of a "message".
    """

    name: str
    kind: str
    repeated: bool = False
    schema: Mapping[int, Field] | None = None


Schema = Mapping[int, Field]


class _Budget:
    """How many values may still be read."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def take(self, count: int = 1) -> None:
        self._left -= count
        if self._left < 0:
            raise BundleError(f"a file has more than {MAX_VALUES} fields and numbers")


def parse(data: memoryview, schema: Schema) -> dict[str, Any]:
    """Read one message.

    Raises:
        BundleError: truncated, a value of the wrong wire type, a single field twice, text that is not UTF-8, or more than
            MAX_VALUES values.
    """
    return _parse(data, schema, _Budget())


def _parse(data: memoryview, schema: Schema, budget: _Budget) -> dict[str, Any]:
    result: dict[str, Any] = {field.name: [] for field in schema.values() if field.repeated}
    for number, wire, value in fields(data):
        budget.take()
        field = schema.get(number)
        if field is None:
            continue
        if field.repeated:
            result[field.name] += (
                _packed(field, value, budget) if _is_packed(field, wire) else [_convert(field, wire, value, budget)]
            )
        elif field.name in result:
            raise BundleError(f"the field {field.name!r} occurs twice")
        else:
            result[field.name] = _convert(field, wire, value, budget)
    return result


def fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """The fields of one message one after another: number, wire type and value (int, or memoryview).

    Raises:
        BundleError: truncated, or a wire type that is not of this format.
    """
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise BundleError("a field has the number 0")
        value: Any
        if wire == _VARINT:
            value, position = _varint(data, position)
        else:
            size, position = _size(data, position, wire)
            value, position = data[position : position + size], position + size
            if len(value) != size:
                raise BundleError(f"field {number} should have {size} bytes and has {len(value)}")
        yield number, wire, value


def _size(data: memoryview, position: int, wire: int) -> tuple[int, int]:
    if wire == _BYTES:
        return _varint(data, position)
    if wire in (_FIXED32, _FIXED64):
        return (4 if wire == _FIXED32 else 8), position
    raise BundleError(f"the wire type {wire} is not of this format")


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    value = 0
    for index in range(_MAX_VARINT_BYTES):
        if position + index >= len(data):
            raise BundleError("a number is cut off")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, position + index + 1
    raise BundleError("a number has more than 64 bits")


def _is_packed(field: Field, wire: int) -> bool:
    return wire == _BYTES and field.kind in ("int", "float")


def _packed(field: Field, value: memoryview, budget: _Budget) -> list[Any]:
    if field.kind == "float":
        if len(value) % 4:
            raise BundleError(f"the field {field.name!r} is cut off")
        budget.take(len(value) // 4)
        return [number for (number,) in struct.iter_unpack("<f", value)]
    numbers, position = [], 0
    while position < len(value):
        number, position = _varint(value, position)
        budget.take()
        numbers.append(_signed(number))
    return numbers


def _convert(field: Field, wire: int, value: Any, budget: _Budget) -> Any:
    if wire != _WIRE[field.kind]:
        raise BundleError(f"the field {field.name!r} has the wire type {wire} instead of {_WIRE[field.kind]}")
    if field.kind == "int":
        return _signed(value)
    if field.kind == "float":
        return struct.unpack("<f", value)[0]
    if field.kind == "text":
        return _text(field, value)
    if field.kind == "message" and field.schema is not None:
        return _parse(value, field.schema, budget)
    return value


def _text(field: Field, value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"the field {field.name!r} is not UTF-8") from error


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value
