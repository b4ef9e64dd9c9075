"""The runs a table asks for: one for each rule, setting, number of blocks and seed. Needs torch."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import SEEDS
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain
from edgebll.learning import RULE_REGISTRY, is_one_block
from edgebll.learning.reproduce.recipe import NetworkSetting, Recipe, RuleRow
from edgebll.learning.training import TrainConfig
from edgebll.learning.training.config import HOW

#: Fields of TrainConfig that a table sets itself.
_TABLES_OWN = ("rule", "rule_options", "seed", "blocks", "threads", *HOW)
#: Fields that do not change what is learnt, and need no source.
NO_CHOICE = ("seed", "threads", "checkpoint_steps", "evaluate_epochs", "blocks", "rule", "rule_options", *HOW)


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        setting: the recipe's network and data set that it trains.
        row: the recipe's rule that it trains with.
        blocks: of the network.
        config: of the training; None where it cannot be run, and `reason` says why.
    """

    setting: NetworkSetting
    row: RuleRow
    blocks: int
    seed: int
    config: TrainConfig | None
    reason: str = ""

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{_slug(self.setting.name)}-{_slug(self.row.name)}-k{self.blocks}-seed{self.seed}"

    @property
    def title(self) -> str:
        """What it is, for people."""
        blocks = "1 block" if self.blocks == 1 else f"{self.blocks} blocks"
        return f"{self.row.name}, {self.setting.name}, {blocks}, seed {self.seed}"


def cells_of(recipe: Recipe, scale: str, seeds: int | None = None, only: Sequence[str] = ()) -> list[Cell]:
    """All runs of a table, in the order they are done: every setting and rule with one seed before any with the next.

    Args:
        recipe: of the table.
        scale: "full", "medium" or "small".
        seeds: how many; by default the recipe's.
        only: these rules, by their names in the recipe or in edgebll; the baseline is always among them, since gaps are
            measured from it.

    Raises:
        ConfigError: a wrong entry in the recipe, a rule in `only` that the table does not have, or seeds < 1.
    """
    count = recipe.seeds_at(scale) if seeds is None else seeds
    SEEDS.check("the number of seeds", count)
    return cells_with(recipe, scale, count, [row.name for row in _chosen(recipe, scale, only)])


def cells_with(recipe: Recipe, scale: str, seeds: int, names: Collection[str]) -> list[Cell]:
    """The runs of some rules; nothing is asked of the others, whose code may be missing.

    Args:
        recipe: of the table.
        scale: "full", "medium" or "small".
        seeds: how many, from 0.
        names: of the rules, as the recipe has them.

    Raises:
        ConfigError: a wrong entry in the recipe.
    """
    rows = [row for row in recipe.rules_at(scale) if row.name in names]
    alone = {row.name for row in rows if _alone(recipe, row)}
    found = [
        _cell(recipe, scale, setting, row, blocks, seed)
        for seed in range(seeds)
        for setting in recipe.settings_at(scale)
        for row in rows
        for blocks in ((1,) if row.name in alone else setting.blocks)
        if not row.where_published or recipe.figures(setting.name, row, blocks)
    ]
    folders = [cell.folder for cell in found]
    twice = next((name for name in folders if folders.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{recipe.name}.toml: two runs would share the folder {twice}; give settings and rules other names")
    return found


def placed(cell: Cell, how: Mapping[str, Any]) -> Cell:
    """The same run, computed where and how it is told: `how` holds "threads" and fields of `training.config.HOW`."""
    return cell if cell.config is None else dataclasses.replace(cell, config=dataclasses.replace(cell.config, **how))


def _alone(recipe: Recipe, row: RuleRow) -> bool:
    """Whether a rule trains the whole network as one block."""
    try:
        return is_one_block(row.rule) if row.one_block is None else row.one_block
    except ConfigError as error:
        raise ConfigError(f"{recipe.name}.toml: {row.name}: {error}") from error


def _chosen(recipe: Recipe, scale: str, only: Sequence[str]) -> list[RuleRow]:
    wanted, rows = {name.lower() for name in only}, recipe.rules_at(scale)
    known = {name.lower() for row in rows for name in (row.name, row.rule)}
    if wanted - known:
        names = ", ".join(dict.fromkeys(row.name for row in rows))
        at = f" at {scale} scale" if recipe.has_scales else ""
        raise ConfigError(f"the table {recipe.name}{at} has no rule {min(wanted - known)!r}; it has {names}")
    return [row for row in rows if not wanted or row.name == recipe.baseline or wanted & {row.name.lower(), row.rule}]


def _cell(recipe: Recipe, scale: str, setting: NetworkSetting, row: RuleRow, blocks: int, seed: int) -> Cell:
    where = f"{recipe.name}.toml: {setting.name}, {row.name}"
    values = merged(recipe, scale, setting, row, where)
    if ":" not in row.rule and row.rule not in RULE_REGISTRY.names():
        return Cell(setting, row, blocks, seed, None, f"this release of edgebll has no rule {row.rule}")
    if row.one_block is not None and is_one_block(row.rule) != row.one_block:
        raise ConfigError(f"{where}: one_block must be {str(not row.one_block).lower()} for the rule {row.rule}")
    own = {"rule": row.rule, "rule_options": row.options, "blocks": blocks, "seed": seed}
    try:
        config = from_plain(TrainConfig, {**values, **own}, where).completed()
    except PlainError as error:
        raise ConfigError(str(error)) from error
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    return Cell(setting, row, blocks, seed, config)


def merged(recipe: Recipe, scale: str, setting: NetworkSetting, row: RuleRow, where: str = "") -> dict[str, Any]:
    """Fields of TrainConfig as the recipe gives them: of all runs, overruled by the scale's, the setting's and the rule's.

    Raises:
        ConfigError: a field that TrainConfig does not have, or that the table sets itself.
    """
    values = {**recipe.train, **recipe.scale(scale).train, **setting.train, **setting.at(scale), **row.train}
    known = [field.name for field in dataclasses.fields(TrainConfig) if field.name not in _TABLES_OWN]
    for name in values:
        if name not in known:
            raise ConfigError(f"{where}: unknown training option {name!r}; known are {', '.join(known)}")
    return values


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
