"""What a recipe is: settings, rules, and, where it reproduces a paper, its figures and the source of every choice. No torch.

A recipe is a TOML file with these entries, of which settings and rules must be there; `recipes/` has one for each table edgebll
reproduces.

    title, kind, baseline, text, notes           what it is; kind is "accuracy" or "cost"; the baseline is a rule's name
    metric                                       the task's figure that is told; "accuracy", in percent, unless it says another
    seeds, train                                 how many, and fields of TrainConfig of all runs
    [full] [medium] [small]                      `Scale`: what holds for all runs of a scale; medium may be missing
    [[settings]]                                 `NetworkSetting`: a network on a data set, and the numbers of blocks
    [[rules]]                                    `RuleRow`: a learning rule with its options
    [[published]]                                `Published`: figures of one paper for one setting
    [sources]                                    hyper-parameter -> where its value at full scale is from: of all, or of none
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import LOWER, TASKS

SCALES = FULL, MEDIUM, SMALL = ("full", "medium", "small")
#: "accuracy": every run is a training; "cost": memory and time of training steps are measured.
ACCURACY, COST = "accuracy", "cost"
#: Figures of any task of which less is better.
LOWER_IS_BETTER = frozenset(
    name for task in TASKS.values() for name, way in {**task.metrics, "loss": LOWER}.items() if way == LOWER
)
#: How a source begins that is a choice of ours, because the paper gives none.
OURS = "ours"


@dataclass(frozen=True)
class Scale:
    """What holds for all runs of a scale.

    Attributes:
        words: what is reduced against the paper, for the report.
        seeds: how many, unless told otherwise; None for the recipe's.
        train: fields of `edgebll.learning.training.TrainConfig`.
        settings: names of those that are run; all where empty.
        blocks: numbers of blocks that are run; all where empty.
        rules: names of those that are run; all where empty.
    """

    words: str = ""
    seeds: int | None = None
    train: dict[str, Any] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    blocks: tuple[int, ...] = ()
    rules: tuple[str, ...] = ()


@dataclass(frozen=True)
class NetworkSetting:
    """A network on a data set.

    Attributes:
        blocks: numbers of blocks, for rules that train more than one.
        train: fields of TrainConfig.
        full: fields of TrainConfig at full scale only.
        medium: fields of TrainConfig at medium scale only.
        small: fields of TrainConfig at small scale only.
    """

    name: str
    blocks: tuple[int, ...]
    train: dict[str, Any] = field(default_factory=dict)
    full: dict[str, Any] = field(default_factory=dict)
    medium: dict[str, Any] = field(default_factory=dict)
    small: dict[str, Any] = field(default_factory=dict)

    def at(self, scale: str) -> dict[str, Any]:
        """Fields of TrainConfig at a scale only; the scale is one of SCALES."""
        return {FULL: self.full, MEDIUM: self.medium, SMALL: self.small}[scale]


@dataclass(frozen=True)
class RuleRow:
    """A learning rule as the table has it.

    Attributes:
        rule: name of one of edgebll's rules.
        options: options of that rule.
        train: fields of TrainConfig of its own.
        one_block: it trains the whole network as one block, as backpropagation does; None for as the rule says.
        where_published: it is run only where the paper has a figure for it.
        grid: option -> list of values, and under "train" fields of TrainConfig: a rule for each combination, see `grid`.
    """

    name: str
    rule: str
    options: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    one_block: bool | None = None
    where_published: bool = False
    grid: dict[str, Any] = field(default_factory=dict)


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
    """A table; see the module for the entries. `name` is the file's, not in it; so is the title where there is none."""

    settings: tuple[NetworkSetting, ...]
    rules: tuple[RuleRow, ...]
    title: str = ""
    text: str = ""
    baseline: str = ""
    seeds: int = 1
    train: dict[str, Any] = field(default_factory=dict)
    full: Scale = field(default_factory=Scale)
    medium: Scale | None = None
    small: Scale = field(default_factory=Scale)
    sources: dict[str, str] = field(default_factory=dict)
    kind: str = ACCURACY
    metric: str = ACCURACY
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()
    name: str = ""

    @property
    def lower(self) -> bool:
        """Whether less of the metric is better."""
        return self.metric in LOWER_IS_BETTER

    def figure_of(self, summary: Mapping[str, Any]) -> float:
        """What is told of a run's summary: the accuracy in percent, another metric as it is.

        Raises:
            ConfigError: its task has no such metric.
        """
        if self.metric == ACCURACY:
            return 100.0 * float(summary[ACCURACY])
        metrics = summary.get("metrics", {})
        if self.metric not in metrics:
            raise ConfigError(f"{self.name}.toml: the runs have no metric {self.metric!r}; they have {', '.join(metrics)}")
        return float(metrics[self.metric])

    @property
    def greedy(self) -> str:
        """The first rule that is greedy learning, which others are compared with besides the baseline; empty if none is."""
        return next((row.name for row in self.rules if row.rule == "greedy" and row.name != self.baseline), "")

    @property
    def has_scales(self) -> bool:
        """Whether its scales differ."""
        return self.medium is not None or self.full != self.small

    @property
    def scales(self) -> tuple[str, ...]:
        """Names of the scales it has, the largest first."""
        return tuple(name for name in SCALES if name != MEDIUM or self.medium is not None)

    def seeds_at(self, scale: str) -> int:
        """How many seeds a scale has, unless told otherwise."""
        own = self.scale(scale).seeds
        return self.seeds if own is None else own

    def scale(self, name: str) -> Scale:
        """The scale of this name.

        Raises:
            ConfigError: there is none.
        """
        found = {FULL: self.full, MEDIUM: self.medium, SMALL: self.small}.get(name)
        if found is None:
            its = f" of {self.name}" if name in SCALES else ""
            known = f"{', '.join(self.scales[:-1])} or {self.scales[-1]}"
            raise ConfigError(f"the scale{its} must be {known}, not {name!r}")
        return found

    def settings_at(self, scale: str) -> list[NetworkSetting]:
        """The settings that are run at a scale, with the numbers of blocks that are."""
        wanted = self.scale(scale)
        chosen = [setting for setting in self.settings if not wanted.settings or setting.name in wanted.settings]
        return [replace(s, blocks=tuple(k for k in s.blocks if not wanted.blocks or k in wanted.blocks)) for s in chosen]

    def rules_at(self, scale: str) -> list[RuleRow]:
        """The rules that are run at a scale; the baseline is always among them."""
        wanted = self.scale(scale).rules
        return [row for row in self.rules if not wanted or row.name == self.baseline or row.name in wanted]

    def figures(self, setting: str, row: RuleRow, blocks: int) -> list[tuple[Published, float, float | None]]:
        """Published figures of a rule, each with its paper and its standard deviation."""
        found = []
        (all_blocks,) = [s.blocks for s in self.settings if s.name == setting]
        for published in self.published:
            counts = published.blocks or all_blocks
            alone = row.one_block if row.one_block is not None else blocks == 1 and 1 not in counts
            place = 0 if alone else counts.index(blocks) if blocks in counts else -1
            figure = published.figure(row.name, place) if published.setting == setting else None
            if figure is not None:
                found.append((published, *figure))
        return found
