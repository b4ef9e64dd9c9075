"""A rule with a grid stands for one rule for each combination of its values. No torch.

    grid = { match = [1.0, 2.0], train = { lr = [0.01, 0.1] } }

stands for four: options of the rule by their names, fields of TrainConfig under `train`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.learning.reproduce.recipe import RuleRow

TRAIN = "train"


def expanded(rows: Iterable[RuleRow], where: str) -> tuple[RuleRow, ...]:
    """The rows, those with a grid replaced by one for each combination, named after its values.

    Args:
        rows: as the recipe has them.
        where: the recipe's file, for messages.

    Raises:
        ConfigError: an entry of a grid is not a list of values.
    """
    return tuple(one for row in rows for one in _combinations(row, f"{where}: rules, {row.name}: grid"))


def _combinations(row: RuleRow, where: str) -> Iterable[RuleRow]:
    if not row.grid:
        return [row]
    own = {name: values for name, values in row.grid.items() if name != TRAIN}
    train = row.grid.get(TRAIN, {})
    if not isinstance(train, Mapping):
        raise ConfigError(f"{where}.{TRAIN} must be a table such as {{ lr = [0.01, 0.1] }}, not {train!r}")
    axes = [*_axes(own, f"{where}."), *_axes(train, f"{where}.{TRAIN}.")]
    names = [*own, *train]
    return [_one(row, dict(zip(names, values, strict=True)), own) for values in product(*axes)]


def _axes(table: Mapping[str, Any], where: str) -> list[list[Any]]:
    for name, values in table.items():
        if not isinstance(values, list) or not values:
            raise ConfigError(f"{where}{name} must be a list of values, e.g. [1, 2], not {values!r}")
    return list(table.values())


def _one(row: RuleRow, values: Mapping[str, Any], own: Mapping[str, Any]) -> RuleRow:
    options = {name: value for name, value in values.items() if name in own}
    train = {name: value for name, value in values.items() if name not in own}
    words = " ".join(f"{name}={value}" for name, value in values.items())
    return replace(row, name=f"{row.name} {words}", options={**row.options, **options}, train={**row.train, **train}, grid={})
