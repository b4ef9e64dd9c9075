"""Every hyper-parameter of a table, with its value at both scales and where it is from. Needs torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.learning.reproduce.cells import NO_CHOICE, Cell, cells_of
from edgebll.learning.reproduce.recipe import FULL, OURS, SMALL, Recipe
from edgebll.learning.training import TrainConfig

#: Fields that hold options, each a hyper-parameter: "X_options" of what the field X names.
_OPTIONS = "_options"
#: Those whose options are called after what they belong to, "mlp.width"; the others after the field, "data.size".
_BY_NAME = ("network", "optimizer")


#: Fields that recipes need not speak of where they are as usual.
_USUAL = ("sampling", "last_batch")


def parameters(recipe: Recipe, scale: str, cells: Sequence[Cell] = ()) -> list[dict[str, Any]]:
    """One entry for each: name, full (its value at full scale), here (at `scale`), source, and ours (whether we chose it).

    A value that differs between settings or rules is told for each. The options of a rule are named RULE.OPTION.

    Args:
        recipe: of the table.
        scale: SMALL or FULL.
        cells: those of the report; by default all of the recipe.

    Raises:
        ConfigError: a hyper-parameter has no source in a recipe that has some.
    """
    rules = {cell.row.name for cell in cells}
    full, here = ([c for c in cells_of(recipe, s, 1) if c.config and (not rules or c.row.name in rules)] for s in (FULL, scale))
    found = []
    for name in _names(full):
        if name not in recipe.sources and all(_values(cell).get(name) is None for cell in [*full, *here]):
            continue  # nobody chose anything
        source = _source(recipe, name) if recipe.sources else ""
        values = [_told(name, chosen) for chosen in (full, here)]
        found.append({"name": name, "full": values[0], "here": values[1], "source": source, "ours": source.startswith(OURS)})
    return found


def check_sources(recipe: Recipe) -> None:
    """Raise ConfigError unless every hyper-parameter of every rule has a source, at both scales."""
    for scale in (FULL, SMALL):
        parameters(recipe, scale)


def _names(cells: Sequence[Cell]) -> list[str]:
    names: dict[str, None] = {}
    for cell in cells:
        names |= dict.fromkeys(_values(cell))
    return list(names)


def _values(cell: Cell) -> dict[str, Any]:
    """Name -> value of all hyper-parameters of a cell, every default written out."""
    config = cell.config
    if config is None:
        return {}
    found: dict[str, Any] = {}
    for field in dataclasses.fields(TrainConfig):
        value = getattr(config, field.name)
        if field.name in NO_CHOICE or (field.name in _USUAL and value == field.default):
            continue
        if field.name.endswith(_OPTIONS):
            what = field.name.removesuffix(_OPTIONS)
            owner = getattr(config, what) if what in _BY_NAME else what
            found |= {f"{owner}.{option}": own for option, own in value.items()}
        elif dataclasses.is_dataclass(value) and not isinstance(value, type):
            if value != type(value)():  # else nothing is told, e.g. to be frozen
                found |= {f"{field.name}.{name}": own for name, own in to_plain(value).items()}
        elif not isinstance(value, dict):  # a table of no options says where code is, not what it does
            found[field.name] = value
    return found | {f"{cell.row.rule}.{option}": own for option, own in config.rule_options.items()}


def _source(recipe: Recipe, name: str) -> str:
    """Where a value is from: the entry of its own name, or that of the rule, network or optimiser it is an option of."""
    found = recipe.sources.get(name, recipe.sources.get(name.rpartition(".")[0]))
    if found is None:
        raise ConfigError(
            f"{recipe.name}.toml: [sources] does not say where {name!r} is from; add it, {OURS!r} where we chose it"
        )
    return found


def _told(name: str, cells: Sequence[Cell]) -> str:
    """The value, or each of the values with the settings or the rules that have it."""
    having = [(cell, _values(cell)[name]) for cell in cells if name in _values(cell)]
    values = list(dict.fromkeys(map(_text, (value for _, value in having))))
    if len(values) <= 1:
        return values[0] if values else "not used"
    owners: tuple[Callable[[Cell], str], ...] = (lambda c: c.setting.name, lambda c: c.row.name, lambda c: c.title)
    for owner in owners:
        by_value = {text: dict.fromkeys(owner(cell) for cell, value in having if _text(value) == text) for text in values}
        if sum(map(len, by_value.values())) == len({owner(cell) for cell, _ in having}):
            break
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in by_value.items())


def _text(value: Any) -> str:
    return (
        "all"
        if value is None
        else f"{value:g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
