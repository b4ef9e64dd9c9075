"""What a table is: settings, rules, published figures, and where every hyper-parameter is from. No torch.

A recipe is a TOML file with these entries; `recipes/` has one for each table edgebll reproduces.

    title, kind, baseline, text, notes           what it is; kind is "accuracy" or "cost"; the baseline is a rule's name
    [full] [small]                               `Scale`: what holds for all runs of a scale
    [[settings]]                                 `NetworkSetting`: a network on a data set, and the numbers of blocks
    [[rules]]                                    `RuleRow`: a learning rule with its options
    [[published]]                                `Published`: figures of one paper for one setting
    [sources]                                    hyper-parameter -> where its value at full scale is from
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.toml_files import read_toml

FULL, SMALL = "full", "small"
SCALES = (FULL, SMALL)
#: "accuracy": every run is a training; "cost": memory and time of training steps are measured.
ACCURACY, COST = "accuracy", "cost"
#: How a source begins that is a choice of ours, because the paper gives none.
OURS = "ours"
RECIPES = Path(__file__).parent / "recipes"


@dataclass(frozen=True)
class Scale:
    """What holds for all runs of a scale.

    Attributes:
        words: what is reduced against the paper, for the report.
        seeds: how many, unless told otherwise.
        train: fields of `edgebll.learning.training.TrainConfig`.
        settings: names of those that are run; all where empty.
        blocks: numbers of blocks that are run; all where empty.
    """

    words: str
    seeds: int = 1
    train: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()


@dataclass(frozen=True)
class NetworkSetting:
    """A network on a data set.

    Attributes:
        blocks: numbers of blocks, for rules that train more than one.
        train: fields of TrainConfig.
        full: fields of TrainConfig at full scale only.
        small: fields of TrainConfig at small scale only.
    """

    name: str
    blocks: tuple[int, ...]
    train: dict[str, Any] = field(default_factory=dict)
    full: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RuleRow:
    """A learning rule as the table has it.

    Attributes:
        rule: name of one of edgebll's rules.
        options: options of that rule.
        train: fields of TrainConfig of its own.
        one_block: it trains the whole network as one block, as backpropagation does.
        where_published: it is run only where the paper has a figure for it.
    """

    name: str
    rule: str
    options: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    one_block: bool = False
    where_published: bool = False


@dataclass(frozen=True)
class Published:
    """Published figures for one setting, in percent.

    Attributes:
        source: the paper and its table.
        values: rule -> one figure for each of `blocks`, from the first; the figure of a rule that trains one block stands
            alone.
        spreads: rule -> standard deviations of these figures, in the same order.
        blocks: by default those of the setting.
        error: whether figures are errors, not accuracies.
    """

    source: str
    setting: str
    values: dict[str, tuple[float, ...]]
    spreads: dict[str, tuple[float, ...]] = field(default_factory=dict)
    blocks: tuple[int, ...] = ()
    error: bool = False

    def figure(self, row: str, place: int) -> tuple[float, float | None] | None:
        """Accuracy (or, of costs, the figure) and standard deviation of a rule at `blocks[place]`; None if there is none."""
        values, spreads = self.values.get(row, ()), self.spreads.get(row, ())
        if not 0 <= place < len(values):
            return None
        value = 100.0 - values[place] if self.error else values[place]
        return value, spreads[place] if place < len(spreads) else None


@dataclass(frozen=True)
class Recipe:
    """A table; see the module for the entries. `name` is the file's, not in it."""

    title: str
    text: str
    baseline: str
    full: Scale
    small: Scale
    settings: tuple[NetworkSetting, ...]
    rules: tuple[RuleRow, ...]
    sources: dict[str, str]
    kind: str = ACCURACY
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""

    def scale(self, name: str) -> Scale:
        """The scale of this name.

        Raises:
            ConfigError: there is none.
        """
        if name not in SCALES:
            raise ConfigError(f"the scale must be {' or '.join(SCALES)}, not {name!r}")
        return self.full if name == FULL else self.small

    def settings_at(self, scale: str) -> list[NetworkSetting]:
        """The settings that are run at a scale, with the numbers of blocks that are."""
        wanted = self.scale(scale)
        chosen = [setting for setting in self.settings if not wanted.settings or setting.name in wanted.settings]
        return [replace(s, blocks=tuple(k for k in s.blocks if not wanted.blocks or k in wanted.blocks)) for s in chosen]

    def figures(self, setting: str, row: RuleRow, blocks: int) -> list[tuple[Published, float, float | None]]:
        """Published figures of a rule, each with its paper and its standard deviation."""
        found = []
        (all_blocks,) = [s.blocks for s in self.settings if s.name == setting]
        for published in self.published:
            counts = published.blocks or all_blocks
            place = 0 if row.one_block else counts.index(blocks) if blocks in counts else -1
            figure = published.figure(row.name, place) if published.setting == setting else None
            if figure is not None:
                found.append((published, *figure))
        return found


def read_recipe(table: str) -> Recipe:
    """Read a recipe.

    Args:
        table: the name of one that comes with edgebll, or the path of a TOML file.

    Raises:
        ConfigError: there is no such table, or the file is not a recipe.
    """
    path = RECIPES / f"{table}.toml"
    if table not in recipe_names():
        path = Path(table)
        if path.suffix != ".toml":
            raise ConfigError(f"there is no table {table!r}; choose {', '.join(recipe_names())}, or give a recipe as FILE.toml")
    recipe = replace(read_toml(Recipe, path, "give a recipe file, see docs/how-to/reproduce-papers.md"), name=path.stem)
    _check(recipe)
    return recipe


def recipe_names() -> list[str]:
    """Tables that come with edgebll."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def _check(recipe: Recipe) -> None:
    """Raise ConfigError where the parts of a recipe do not fit each other."""
    where = f"{recipe.name}.toml"
    if recipe.kind not in (ACCURACY, COST):
        raise ConfigError(f"{where}: kind must be {ACCURACY} or {COST}, not {recipe.kind!r}")
    _distinct(f"{where}: settings", [setting.name for setting in recipe.settings])
    _distinct(f"{where}: rules", [row.name for row in recipe.rules])
    rules, settings = [row.name for row in recipe.rules], [setting.name for setting in recipe.settings]
    counts = {count for setting in recipe.settings for count in setting.blocks}
    _known(f"{where}: baseline", [recipe.baseline], rules)
    for name, scale in ((FULL, recipe.full), (SMALL, recipe.small)):
        _known(f"{where}: {name}.settings", scale.settings, settings)
        _known(f"{where}: {name}.blocks", scale.blocks, counts)
        if scale.seeds < 1:
            raise ConfigError(f"{where}: {name}.seeds must be at least 1, not {scale.seeds}")
    for published in recipe.published:
        _known(f"{where}: published.setting", [published.setting], settings)
        _known(f"{where}: published.values", published.values, rules)
        _known(f"{where}: published.spreads", published.spreads, published.values)


def _distinct(what: str, names: Sequence[str]) -> None:
    if not names:
        raise ConfigError(f"{what}: a recipe needs at least one")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"{what}: {twice!r} is there twice; give each a name of its own")


def _known(what: str, names: Iterable[object], known: Collection[object]) -> None:
    for name in names:
        if name not in known:
            raise ConfigError(f"{what}: unknown {name!r}; known are {', '.join(map(str, known))}")
