"""Options of networks, rules, optimisers and data: what a user typed becomes the value of a dataclass's field."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import math
from collections.abc import Iterable, Mapping
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import OPTION_FLOAT, OPTION_INT

#: Options of a network, a rule, an optimiser or data: by name, or as texts KEY=VALUE.
KeyValues = Mapping[str, Any] | Iterable[str]
_EXAMPLES = {
    "task": "class_weights=1,3",
    "network": "width=32",
    "rule": "match=2",
    "optimizer": "clip_norm=1",
    "data": "size=64",
    "side input": "readings=6",
}
#: Words for truth values, in lower case.
TRUTH_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
#: Annotation, as a type or its name -> a value of that type.
_ANNOTATED: dict[Any, Any] = {name: value for value in (False, 0, 0.0, "") for name in (type(value), type(value).__name__)}
_WORDS: dict[type[Any], str] = {bool: "true or false", int: "an int", str: "a text", tuple: "numbers such as 1,2.5,1"}
#: How a text says that an option whose default is None has no value.
_NONE = "none"


def convert_options(cls: type[Any], what: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the dataclass `cls`, with each text converted to the type of its field's default ("0.5" to 0.5).

    A field whose default is a tuple takes numbers, "1,2.5" or a list of them; one whose default is None takes "none" too.

    Args:
        cls: a dataclass; a field without default goes by its annotation.
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
        default = fields[key].default
        if default is dataclasses.MISSING:
            default = _ANNOTATED.get(fields[key].type)
        elif default is None and value == _NONE:
            value = None
        values[key] = _looked_like(value) if default is None else _convert(value, default, f"{what}: {key}")
    return values


def convert_arguments(parameters: Mapping[str, inspect.Parameter], what: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a function or class, with each text converted to the type of its parameter's default or annotation.

    A text for a parameter that says nothing of its type becomes the number, truth value or text that it looks like.

    Args:
        parameters: of its signature, by name.
        what: the options' owner for messages, e.g. "the network mine.py:make".
        options: by name; values of other types than text are taken as they are.

    Raises:
        ConfigError: an option that is no parameter, or a value that is not of its type.
    """
    kinds = inspect.Parameter
    named = {name: p for name, p in parameters.items() if p.kind in (kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY)}
    takes_others = any(p.kind == kinds.VAR_KEYWORD for p in parameters.values())
    values = {}
    for key, value in options.items():
        if key not in named and not takes_others:
            raise ConfigError(f"{what} has no option {key!r}; it has {', '.join(named) or 'none'}")
        parameter = named.get(key)
        default = None if parameter is None else _example_of(parameter)
        values[key] = _looked_like(value) if default is None else _convert(value, default, f"{what}: {key}")
    return values


def _example_of(parameter: inspect.Parameter) -> Any:
    """A value of the type that a parameter takes; None where it says nothing of it."""
    if isinstance(parameter.default, bool | int | float | str):
        return parameter.default
    return _ANNOTATED.get(parameter.annotation)


def _looked_like(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.lower() in ("true", "false"):
        return TRUTH_WORDS[value.lower()]
    with contextlib.suppress(ValueError, SyntaxError):
        number = ast.literal_eval(value)
        return number if isinstance(number, int | float) else value
    return value


def _convert(value: Any, default: Any, what: str) -> Any:
    kind = type(default)
    if kind is tuple:
        return _numbers(value, what)
    if isinstance(value, str) and kind is bool:
        value = TRUTH_WORDS.get(value.lower(), value)
    elif isinstance(value, str) and kind in (int, float):
        with contextlib.suppress(ValueError):
            value = kind(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{what} must be a finite number, not {value}")
    _check_far(value, what)
    fits = isinstance(value, (int, float) if kind is float else kind) and (kind is bool or not isinstance(value, bool))
    if not fits:
        raise ConfigError(f"{what} must be {_WORDS.get(kind, f'a {kind.__name__}')}, not {value!r}")
    return value


def _check_far(value: Any, what: str) -> None:
    """Raise ConfigError for a number that fits nowhere in torch and numpy; what is less, its owner judges."""
    if isinstance(value, int | float):
        (OPTION_INT if isinstance(value, int) else OPTION_FLOAT).check(what, value)


def _numbers(value: Any, what: str) -> tuple[float, ...]:
    parts = (value.split(",") if value.strip() else []) if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)):
        raise ConfigError(f"{what} must be {_WORDS[tuple]}, not {value!r}")
    return tuple(float(_convert(part, 0.0, what)) for part in parts)


def parse_options(owner: str, given: KeyValues | None) -> dict[str, Any]:
    """Options as a dict, from one or from KEY=VALUE texts.

    Args:
        owner: "task", "network", "rule", "optimizer" or "data", for messages.
        given: the options; None for none.

    Raises:
        ConfigError: a text has no "=" or no key, or a key comes twice.
    """
    if isinstance(given, Mapping):
        return dict(given)
    result: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        key = key.strip().replace("-", "_")
        if not equals or not key:
            raise ConfigError(f"an option of the {owner} must be KEY=VALUE, e.g. {_EXAMPLES[owner]}, not {text!r}")
        if key in result:
            raise ConfigError(f"the {owner} option {key} is given twice")
        result[key] = value.strip()
    return result


def given_options(owner: str, given: KeyValues | None) -> dict[str, Any] | None:
    """As `parse_options`, but None where none are given."""
    return None if given is None else parse_options(owner, given)
