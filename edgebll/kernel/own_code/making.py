"""Making a thing of what a name stands for: a class or factory is called with options, an instance is taken as it is."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.kernel.own_code.error_place import summary
from edgebll.kernel.own_code.recorded_code import is_defined
from edgebll.kernel.own_code.resolver import Resolved
from edgebll.kernel.support.option_values import convert_arguments, convert_options

T = TypeVar("T")


def make(
    found: Resolved,
    kind: str,
    options: Mapping[str, Any],
    base: type[T] | tuple[type[T], ...],
    context: Mapping[str, Any] | None = None,
    words: str = "",
) -> T:
    """Make the thing that a name stands for.

    Args:
        found: what `resolve` found.
        kind: one of `GROUPS`, for messages.
        options: by name; a text is converted to the type of the option's default, or of its annotation.
        base: what it must be in the end.
        context: values that are given to those parameters of a class or function that have their names.
        words: what it must be in the end, for messages; by default the names of the classes.

    Raises:
        ConfigError: an option is wrong, making it fails (says in which line of the user's), or it is something else.
    """
    what, value, words = f"the {kind} {found.name}", found.value, words or _words(base)
    if isinstance(value, base):
        return _changed(value, what, options)
    if not callable(value):
        raise ConfigError(f"{what} must be {words} or make one, not {_described(value)}")
    if found.recalled:
        _check_meant(found, what, base, words)
    arguments = _arguments(found, what, options, context or {})
    _check_complete(found, what, arguments)
    try:
        made = value(**arguments)
    except EdgebllError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what} cannot be made: {summary(error)}") from error
    if not isinstance(made, base):
        raise ConfigError(f"{what} must be {words} or make one, not {_described(made)}")
    return made


def full_options(found: Resolved, kind: str, options: Mapping[str, Any], context: Collection[str] = ()) -> dict[str, Any]:
    """The options with which `make` makes the same again: those given, as values, and the defaults of the others.

    Args:
        found: what `resolve` found.
        kind: one of `GROUPS`, for messages.
        options: those given.
        context: names that are no options.

    Raises:
        ConfigError: an option is wrong.
    """
    what, value = f"the {kind} {found.name}", found.value
    if not callable(value) or _is_dataclass(value):
        kind_of = value if isinstance(value, type) else type(value)
        return convert_options(kind_of, what, options) if dataclasses.is_dataclass(kind_of) else dict(options)
    arguments = _arguments(found, what, options, {})
    for name, parameter in _parameters(value).items():
        if isinstance(parameter.default, str | int | float | bool):
            arguments.setdefault(name, parameter.default)
    return {name: value for name, value in arguments.items() if name not in context}


def _arguments(found: Resolved, what: str, options: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    if _is_dataclass(found.value):
        return convert_options(found.value, what, options)
    parameters = _parameters(found.value)
    arguments = convert_arguments(parameters, what, options)
    arguments |= {name: value for name, value in context.items() if name in parameters and name not in arguments}
    return arguments


def _check_complete(found: Resolved, what: str, arguments: Mapping[str, Any]) -> None:
    missing = [name for name, p in _parameters(found.value).items() if _is_needed(p) and name not in arguments]
    if missing:
        raise ConfigError(f"{what} needs {' and '.join(missing)}; give {'it' if len(missing) == 1 else 'them'} as an option")


def _is_needed(parameter: inspect.Parameter) -> bool:
    named = parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return named and parameter.default is inspect.Parameter.empty


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(function).parameters
    except (TypeError, ValueError):  # some of C's say nothing
        return {}


def _changed(value: T, what: str, options: Mapping[str, Any]) -> T:
    """An instance with other options: a dataclass knows how, anything else has none."""
    if not options:
        return value
    if not dataclasses.is_dataclass(value):
        raise ConfigError(f"{what} is made already and takes no options, but got {', '.join(options)}; name its class instead")
    made: Any = dataclasses.replace(value, **convert_options(type(value), what, options))  # type: ignore[type-var]
    return made  # type: ignore[no-any-return]


def _check_meant(found: Resolved, what: str, base: type[Any] | tuple[type[Any], ...], words: str) -> None:
    """Refuse to call whatever a run or a bundle names: only classes of the kind, and functions that are meant to make it.

    Those are functions of the user's own file, whose content is the one that was written down, and of an installed package
    those that say so, by an entry point or in their annotation.
    """
    value = found.value
    while isinstance(value, partial):
        value = value.func
    origin = found.origin
    if isinstance(value, type) and issubclass(value, base):
        return
    if origin is not None and (":" not in origin.reference or is_defined(value, origin.files)):
        return
    returned = _returned(value)
    if isinstance(returned, type) and issubclass(returned, base):
        return
    raise ConfigError(
        f"{what} names something that is not said to make {words}, so it is not called on the word of a file; "
        "wrap it in a function of your own"
    )


def _returned(function: Any) -> Any:
    """What a function is annotated to return; None where it says nothing that can be understood."""
    with contextlib.suppress(Exception):  # an annotation may be any expression
        return inspect.get_annotations(function, eval_str=True).get("return")
    return None


def _is_dataclass(value: Any) -> bool:
    return isinstance(value, type) and dataclasses.is_dataclass(value)


def _words(base: type[Any] | tuple[type[Any], ...]) -> str:
    bases = base if isinstance(base, tuple) else (base,)
    return " or ".join(f"a {one.__name__}" for one in bases)


def _described(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"a {type(value).__name__}"
