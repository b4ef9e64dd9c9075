"""Learning rules, optimisers and the training step. Needs torch."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgebll.errors import ConfigError
from edgebll.learning.backprop import Backprop
from edgebll.learning.bll import BLL
from edgebll.learning.greedy import Greedy
from edgebll.learning.rule import BlockPlace, Objective, Rule
from edgebll.learning.sgd import SGD
from edgebll.learning.step import BlockStep, make_steps

__all__ = [
    "BLL",
    "RULES",
    "SGD",
    "Backprop",
    "BlockPlace",
    "BlockStep",
    "Greedy",
    "Objective",
    "Rule",
    "make_rule",
    "make_steps",
]

RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (BLL, Greedy, Backprop)}


def make_rule(name: str, **options: Any) -> Rule:
    """Build a rule by name; a text option is converted to its field's type ("0.5" to 0.5).

    Raises:
        ConfigError: unknown rule or option, or a value the rule refuses.
    """
    if name not in RULES:
        raise ConfigError(f"unknown rule {name!r}; known are {', '.join(RULES)}")
    fields = {field.name: field for field in dataclasses.fields(RULES[name])}
    values = {}
    for key, value in options.items():
        if key not in fields:
            raise ConfigError(f"the rule {name} has no option {key!r}; it has {', '.join(fields) or 'none'}")
        values[key] = _convert(value, fields[key].default, f"{name}'s {key}")
    return RULES[name](**values)


def _convert(value: Any, default: Any, what: str) -> Any:
    if isinstance(value, str) and not isinstance(default, str):
        try:
            return type(default)(value)
        except ValueError as error:
            raise ConfigError(f"{what} must be a {type(default).__name__}, not {value!r}") from error
    return value
