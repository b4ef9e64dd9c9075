"""Dataclasses to plain values (JSON, msgpack) and back, strictly: every field present, of its declared type, none unknown.

Supports str, int, float, bool, bytes, `X | None`, `tuple[X, ...]`, `dict[str, X]`, `Any` and nested dataclasses. A float field
takes an int; nothing else is converted, so a document that loads is the document that was meant.
"""

from __future__ import annotations

import dataclasses
import reprlib
import types
import typing
from collections.abc import Callable
from functools import cache, partial
from typing import Any, TypeVar

T = TypeVar("T")
_Converter = Callable[[Any, str], Any]
_PLAIN = (str, int, float, bool, bytes)
_MAX_KEY_CHARS = 40
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _MAX_KEY_CHARS


class PlainError(ValueError):
    """A value does not fit its declared type; says where, what was expected and what came."""


def to_plain(value: Any) -> Any:
    """Turn a dataclass (and all inside it) into dicts, lists and scalars."""
    if type(value) in _PLAIN:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def from_plain(cls: type[T], value: Any, where: str = "document") -> T:
    """Build the dataclass `cls` from a plain dict.

    Raises:
        PlainError: a field is missing, unknown or of the wrong type, or the dataclass itself refuses the values.
    """
    if not isinstance(value, dict):
        raise PlainError(f"{where}: expected a table, got {_describe(value)}")
    converters, required = _fields(typing.cast(typing.Hashable, cls))
    unknown = value.keys() - converters.keys()
    if unknown:
        raise PlainError(f"{where}: unknown field {short(min(map(str, unknown)))}; known are {', '.join(converters)}")
    for name in required:
        if name not in value:
            raise PlainError(f"{where}: field {name!r} is missing")
    return cls(**{name: converters[name](item, f"{where}.{name}") for name, item in value.items()})


@cache
def _fields(cls: Any) -> tuple[dict[str, _Converter], tuple[str, ...]]:
    """Converter of every field, and the names of those without a default; found out once a class."""
    hints, fields, absent = typing.get_type_hints(cls), dataclasses.fields(cls), dataclasses.MISSING
    required = tuple(f.name for f in fields if f.default is absent and f.default_factory is absent)
    return {field.name: _converter(hints[field.name]) for field in fields}, required


@cache
def _converter(hint: Any) -> _Converter:
    """A function (value, where) -> value of type `hint`; messages are many and small, so types are taken apart only once."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return lambda value, where: value
    if origin in (typing.Union, types.UnionType):
        inner = _converter(next(a for a in arguments if a is not type(None)))
        return lambda value, where: None if value is None else inner(value, where)
    if origin is tuple:
        return partial(_sequence, _converter(arguments[0]))
    if origin is dict:
        return partial(_table, _converter(arguments[1]))
    if dataclasses.is_dataclass(hint):
        return partial(from_plain, typing.cast(type, hint))
    return partial(_scalar, hint)


def _sequence(convert: _Converter, value: Any, where: str) -> tuple[Any, ...]:
    _expect(value, (list, tuple), "a list", where)
    return tuple(convert(item, f"{where}[{i}]") for i, item in enumerate(value))


def _table(convert: _Converter, value: Any, where: str) -> dict[str, Any]:
    _expect(value, (dict,), "a table", where)
    for key in value:
        _expect(key, (str,), "a text as key", where)
    return {key: convert(item, f"{where}.{key[:_MAX_KEY_CHARS]}") for key, item in value.items()}


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if type(value) is hint:
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            raise PlainError(f"{where}: expected float, got a number too large for one") from None
    if hint is int and isinstance(value, bool):
        raise PlainError(f"{where}: expected int, got a truth value")
    _expect(value, (hint,), hint.__name__, where)
    return value


def _expect(value: Any, kinds: tuple[type, ...], name: str, where: str) -> None:
    if not isinstance(value, kinds):
        raise PlainError(f"{where}: expected {name}, got {_describe(value)}")


def short(value: Any) -> str:
    """A short `repr` for messages, however large or deep the value is."""
    return _SHORT.repr(value)


def _describe(value: Any) -> str:
    return f"{type(value).__name__} {short(value)}"
