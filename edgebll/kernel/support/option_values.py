"""Options of networks, rules and optimisers: what a user typed becomes the value of a dataclass's field."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from edgebll.kernel.errors import ConfigError

_TRUTH = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_WORDS: dict[type[Any], str] = {bool: "true or false", int: "an int", str: "a text"}


def convert_options(cls: type[Any], what: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the dataclass `cls`, with each text converted to the type of its field's default ("0.5" to 0.5).

    Args:
        cls: a dataclass with defaults.
        what: the options' owner for messages, e.g. "the rule bll".
        options: by field name; values of other types than text are taken as they are.

    Raises:
        ConfigError: an option the dataclass does not have, or a value that is not of its type.
    """
    fields = {field.name: field for field in dataclasses.fields(cls)}
    values = {}
    for key, value in options.items():
        if key not in fields:
            raise ConfigError(f"{what} has no option {key!r}; it has {', '.join(fields) or 'none'}")
        values[key] = _convert(value, fields[key].default, f"{what}: {key}")
    return values


def _convert(value: Any, default: Any, what: str) -> Any:
    kind = type(default)
    if isinstance(value, str) and kind is bool:
        value = _TRUTH.get(value.lower(), value)
    elif isinstance(value, str) and kind in (int, float):
        with contextlib.suppress(ValueError):
            value = kind(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{what} must be a finite number, not {value}")
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise ConfigError(f"{what} must be {_WORDS.get(kind, f'a {kind.__name__}')}, not {value!r}")
    return value
