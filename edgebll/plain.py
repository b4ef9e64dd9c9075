"""Dataclasses to plain values (JSON, msgpack) and back, strictly: every field present, of its declared type, none unknown.

Supports str, int, float, bool, bytes, `X | None`, `tuple[X, ...]`, `dict[str, X]`, `Any` and nested dataclasses. A float field
takes an int; nothing else is converted, so a document that loads is the document that was meant.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


class PlainError(ValueError):
    """A value does not fit its declared type; says where, what was expected and what came."""


def to_plain(value: Any) -> Any:
    """Turn a dataclass (and all inside it) into dicts, lists and scalars."""
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
    hints = _hints(cls)
    unknown = sorted(str(key) for key in value if key not in hints)
    if unknown:
        raise PlainError(f"{where}: unknown field {unknown[0]!r}; known are {', '.join(hints)}")
    missing = [name for name, required in _required(cls) if required and name not in value]
    if missing:
        raise PlainError(f"{where}: field {missing[0]!r} is missing")
    return cls(**{name: _convert(hints[name], item, f"{where}.{name}") for name, item in value.items()})


@lru_cache(maxsize=None)
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@lru_cache(maxsize=None)
def _required(cls: type) -> tuple[tuple[str, bool], ...]:
    absent = dataclasses.MISSING
    return tuple((f.name, f.default is absent and f.default_factory is absent) for f in dataclasses.fields(cls))


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is tuple:
        _expect(value, (list, tuple), "a list", where)
        return tuple(_convert(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is dict:
        _expect(value, (dict,), "a table", where)
        for key in value:
            _expect(key, (str,), "a text as key", where)
        return {key: _convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return from_plain(typing.cast(type, hint), value, where)
    return _scalar(hint, value, where)


def _scalar(hint: Any, value: Any, where: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, bool):
        raise PlainError(f"{where}: expected int, got a truth value")
    _expect(value, (hint,), hint.__name__, where)
    return value


def _expect(value: Any, kinds: tuple[type, ...], name: str, where: str) -> None:
    if not isinstance(value, kinds):
        raise PlainError(f"{where}: expected {name}, got {_describe(value)}")


def _describe(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text[:40]}{'...' if len(text) > 40 else ''}"
