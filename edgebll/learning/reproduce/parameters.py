"""Every hyper-parameter of a table, with its value at full and at the report's scale, and where it is from. Needs torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll.learning.reproduce.cells import NO_CHOICE, Cell, cells_with
from edgebll.learning.reproduce.recipe import FULL, OURS, Recipe
from edgebll.learning.training import TrainConfig

#: Fields that hold options, each a hyper-parameter: "X_options" of what the field X names.
_OPTIONS = "_options"
#: Those whose options are called after what they belong to, "mlp.width"; the others after the field, "data.size".
_BY_NAME = ("network", "optimizer", "task")
#: Fields that recipes need not speak of where they are as usual.
_USUAL = ("sampling", "last_batch")
#: What it means that a field has no value.
_NOTHING = {"limit": "all", "task": "as the data suggest"}


def parameters(recipe: Recipe, scale: str, cells: Sequence[Cell] = ()) -> list[dict[str, Any]]:
    """One entry for each: name, full (its value at full scale), here (at `scale`), source, and ours (whether we chose it).

    A value that differs between settings or rules is told for each. The options of a rule are named RULE.OPTION.

    Args:
        recipe: of the table.
        scale: the report's.
        cells: those of the report, whose rules alone are looked at; by default all of the recipe.

    Raises:
        ConfigError: a hyper-parameter has no source in a recipe that has some, or a rule cannot be made.
    """
    rules = {cell.row.name for cell in cells} or {row.name for row in recipe.rules}
    full, here = ([cell for cell in cells_with(recipe, s, 1, rules) if cell.config] for s in (FULL, scale))
    found = []
    for name in _names(full):
        if name not in recipe.sources and all(_values(cell).get(name) is None for cell in [*full, *here]):
            continue  # nobody chose anything
        source = _source(recipe, name) if recipe.sources else ""
        values = [_told(name, chosen) for chosen in (full, here)]
        found.append({"name": name, "full": values[0], "here": values[1], "source": source, "ours": source.startswith(OURS)})
    return found


def check_told(recipe: Recipe, scale: str, cells: Sequence[Cell] = ()) -> None:
    """Raise ConfigError unless the report can tell every hyper-parameter, in a reproduction with its source at all scales.

    Args:
        recipe: of the table.
        scale: the report's.
        cells: those of the report, whose rules alone are looked at; by default all of the recipe.
    """
    for each in recipe.scales if recipe.sources else (scale,):
        parameters(recipe, each, cells)


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
    nothing = _NOTHING.get(name, "none")
    having = [(cell, _text(_values(cell)[name], nothing)) for cell in cells if name in _values(cell)]
    values = list(dict.fromkeys(text for _, text in having))
    if len(values) <= 1:
        return values[0] if values else "not used"
    owners: tuple[Callable[[Cell], str], ...] = (lambda c: c.setting.name, lambda c: c.row.name, lambda c: c.title)
    for owner in owners:
        by_value = {value: dict.fromkeys(owner(cell) for cell, text in having if text == value) for value in values}
        if sum(map(len, by_value.values())) == len({owner(cell) for cell, _ in having}):
            break
    return "; ".join(f"{text} ({', '.join(names)})" for text, names in by_value.items())


def _text(value: Any, nothing: str) -> str:
    """A value in words; `nothing` for None, and for none of several values."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    return nothing if value is None or value == () else str(value)
