"""`edgebll compare` as a function: runs grouped by what they were told, and each group's difference from one of them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.kernel.comparison.group_difference import GroupDifference, difference_of, rule_text
from edgebll.kernel.comparison.paired_difference import CONFIDENCE
from edgebll.kernel.comparison.run_groups import RunGroup, grouped
from edgebll.kernel.comparison.seeded_run import SeededRun, is_whole, read_run, run_folders
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.plots.comparison_picture import draw_comparison

Place = str | os.PathLike[str]


@dataclass(frozen=True)
class RunComparison:
    """What came of comparing runs.

    Attributes:
        metric: the figure that is compared.
        options: names of the options that differ.
        groups: runs that differ in their seeds alone, in the order they were given.
        reference: index of the group the others are compared with.
        differences: of every other group from the reference.
        rule: by which differences are called, in words.
        left_out: runs that are not whole.

    Examples:
        >>> import edgebll
        >>> found = edgebll.compare(["trained"])
        >>> found.metric, [len(group.runs) for group in found.groups], found.differences
        ('accuracy', [1], ())
    """

    metric: str
    options: tuple[str, ...]
    groups: tuple[RunGroup, ...]
    reference: int
    differences: tuple[GroupDifference, ...]
    rule: str
    left_out: tuple[Path, ...] = ()

    def difference(self, group: int) -> GroupDifference | None:
        """The difference of a group from the reference; None for the reference itself.

        Args:
            group: its index.
        """
        return next((one for one in self.differences if one.group == group), None)

    def to_plain(self) -> dict[str, Any]:
        """All of it as `--json` has it."""
        return {
            "metric": self.metric,
            "confidence": CONFIDENCE,
            "rule": self.rule,
            "options": list(self.options),
            "reference": self.reference,
            "groups": [
                {
                    "options": group.options,
                    "n": len(group.runs),
                    "mean": group.mean,
                    "spread": group.spread,
                    "runs": [
                        {"path": str(run.path), "seed": run.seed, self.metric: value}
                        for run, value in zip(group.runs, group.values, strict=True)
                    ],
                }
                for group in self.groups
            ],
            "differences": [{**vars(one), "paired": one.paired} for one in self.differences],
            "left_out": [str(path) for path in self.left_out],
        }


def compare(
    runs: Sequence[Place], *, metric: str | None = None, against: Place | None = None, picture: Place | None = None
) -> RunComparison:
    """Compare runs: mean and spread over seeds, and differences that are more than chance.

    Runs whose options are the same but for the seed form a group; where they were computed, by how many threads or boards, and
    how often they were saved does not count. Each group is compared with one of them, by matching seeds where there are any.

    Args:
        runs: run folders of `train`, `simulate` or `run`, or folders that hold such.
        metric: the figure that is compared: a metric of the evaluations, or another number of summary.json, e.g. "seconds"; by
            default the runs' most telling metric, which is "accuracy" for classification.
        against: one of the runs, with whose group the others are compared; by default the first.
        picture: PNG file to draw curves with mean and spread into; none by default.

    Returns:
        The groups, their differences, and the rule by which these are called.

    Raises:
        BundleError: a path holds no run, a run is damaged, or none is whole.
        ConfigError: two runs are the same one, a run lacks the figure, or `against` is none of the runs.
        MissingExtraError: a picture needs matplotlib.
        StorageError: the disk refuses the picture.

    Examples:
        >>> import edgebll
        >>> for seed in range(2):
        ...     _ = edgebll.train(f"seeds/{seed}", network="mlp", blocks=2, limit=160, epochs=1, batch_size=16, seed=seed)
        >>> found = edgebll.compare(["seeds"])
        >>> found.metric, found.options, [run.seed for run in found.groups[0].runs]
        ('accuracy', (), [0, 1])
    """
    if not runs:
        raise ConfigError("there are no runs to compare; give run folders, or a folder that holds some")
    folders = run_folders([Path(run) for run in runs])
    whole = [read_run(folder) for folder in folders if is_whole(folder)]
    if not whole:
        raise BundleError(f"none of the {len(folders)} runs is whole; finish them first")
    chosen = metric or _common_metric(whole)
    groups = grouped(whole, chosen)
    reference = _reference(groups, None if against is None else Path(against))
    count = len(groups) - 1
    differences = [difference_of(groups, index, reference, count) for index in range(len(groups)) if index != reference]
    options = dict.fromkeys(name for group in groups for name in group.options)
    left_out = tuple(folder for folder in folders if not is_whole(folder))
    found = RunComparison(chosen, tuple(options), tuple(groups), reference, tuple(differences), rule_text(count), left_out)
    if picture is not None:
        draw_comparison(found.groups, found.differences, chosen, reference, Path(picture))
    return found


def _common_metric(runs: Sequence[SeededRun]) -> str:
    """The first run's first metric that all have."""
    for name in runs[0].metrics:
        if all(name in run.metrics for run in runs):
            return name
    raise ConfigError(f"{runs[0].path} has no metric that all runs have; name a figure with --metric")


def _reference(groups: Sequence[RunGroup], against: Path | None) -> int:
    if against is None:
        return 0
    for index, group in enumerate(groups):
        if any(run.path.resolve() == against.resolve() for run in group.runs):
            return index
    raise ConfigError(f"{against} is none of the whole runs that are compared; give one of them to compare with")
