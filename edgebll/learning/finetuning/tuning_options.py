"""The options of a fine-tuning tuning as commands and functions take them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.support.bounds import is_whole

#: Patterns: one, or several.
Patterns = str | Iterable[str] | None
#: Numbers by pattern, or as texts PATTERN=NUMBER.
PatternNumbers = Mapping[str, float] | Iterable[str] | None


def tuning_of(options: Mapping[str, Any]) -> FineTuning:
    """The tuning that options mean.

    Args:
        options: values by the names of FineTuning's attributes; None, and what is missing, is the default. Others do not count.

    Raises:
        ConfigError: a value is out of range.
    """
    given = {name: options[name] for name in TUNING_OPTIONS if options.get(name) is not None}
    return FineTuning(**{name: _CONVERTERS[name](value) for name, value in given.items()})


def _patterns(given: str | Iterable[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _numbers(given: Mapping[str, float] | Iterable[str]) -> dict[str, float]:
    if isinstance(given, Mapping):
        return {pattern: float(number) for pattern, number in given.items()}
    found: dict[str, float] = {}
    for text in given:
        pattern, _, number = text.rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not pattern or math.isnan(value):
            raise ConfigError(f"a number for a pattern must be PATTERN=NUMBER, e.g. block0.*=0.1, not {text!r}")
        if pattern in found:
            raise ConfigError(f"the pattern {pattern!r} is given two numbers; leave one out")
        found[pattern] = value
    return found


def _whole(given: Any) -> Any:
    """A number of numpy's as Python's; what is none is left for FineTuning to refuse."""
    return int(given) if is_whole(given) else given


_CONVERTERS: dict[str, Any] = {
    "freeze": _patterns,
    "trainable": str,
    "lr_for": _numbers,
    "decay_for": _numbers,
    "adapter": str,
    "rank": _whole,
    "alpha": float,
    "adapt": _patterns,
}
TUNING_OPTIONS = tuple(_CONVERTERS)
