"""The picture of `edgebll compare`: evaluations of every group, mean and spread over seeds, and the differences found."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgebll.kernel.errors import BundleError
from edgebll.kernel.plots.style import COLOURS, save_figure
from edgebll.kernel.runs.metric_text import SHARES
from edgebll.kernel.runs.metrics_file import METRICS

if TYPE_CHECKING:
    from edgebll.kernel.comparison.group_difference import GroupDifference
    from edgebll.kernel.comparison.run_groups import RunGroup

_GREY = "#888888"


def draw_comparison(
    groups: Sequence[RunGroup], differences: Sequence[GroupDifference], metric: str, reference: int, path: Path
) -> Path:
    """Draw curves with mean and spread, and beside them each difference with its interval; returns the picture's path.

    Args:
        groups: of runs that differ in their seeds alone.
        differences: from the reference.
        metric: the figure that is compared.
        reference: index of the group the others are compared with.
        path: PNG file to write.

    Raises:
        BundleError: a run's metrics.jsonl is missing or damaged.
        MissingExtraError: matplotlib is not installed.
        StorageError: the disk refuses.
    """
    curves = [[evaluations(run.path / METRICS, metric) for run in group.runs] for group in groups]
    scale, unit = (100.0, ", %") if metric in SHARES else (1.0, "")

    def draw(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(3, 2)) if differences else (figure.subplots(), None)
        left.set(title=f"Evaluations: {metric}, mean and spread over seeds", xlabel="step", ylabel=metric + unit)
        for index, (group, runs) in enumerate(zip(groups, curves, strict=True)):
            _draw_group(left, runs, scale, COLOURS[index % len(COLOURS)], f"{group.title} (n = {len(group.runs)})")
        left.set_xlim(left=0)
        left.legend(loc="best")
        if right is not None:
            _draw_differences(right, groups, differences, scale)
            right.set(title=f"Difference from {groups[reference].title}", xlabel=metric + (", points" if unit else ""))

    return save_figure(path, draw, (11.0, 4.0) if differences else (7.0, 4.0))


def evaluations(path: Path, metric: str) -> dict[int, float]:
    """Step -> figure of every evaluation in a run's metrics.jsonl; empty where evaluations do not have it.

    Args:
        path: the file.
        metric: name of the figure.

    Raises:
        BundleError: the file is missing or damaged.
    """
    found: dict[int, float] = {}
    try:
        for line in path.read_text("utf-8").splitlines():
            entry = json.loads(line)
            if entry["kind"] == "eval" and entry.get(metric) is not None:
                found[int(entry["step"])] = float(entry[metric])
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error.strerror}); run it again") from error
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise BundleError(f"{path} is not a record of metrics ({error!r}); run it again") from error
    return found


def band(runs: Sequence[dict[int, float]]) -> list[tuple[int, float, float]]:
    """(step, mean, standard deviation) at the steps where all runs were evaluated; of one run the deviation is 0."""
    shared = set(runs[0]).intersection(*runs[1:])
    found = []
    for step in sorted(shared):
        values = [run[step] for run in runs]
        found.append((step, statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0))
    return found


def _draw_group(axes: Any, runs: Sequence[dict[int, float]], scale: float, colour: str, label: str) -> None:
    points = band(runs)
    for run in runs:
        axes.plot(list(run), [scale * value for value in run.values()], color=colour, alpha=0.25, linewidth=0.6)
    if not points:
        axes.plot([], [], color=colour, label=f"{label}: no evaluations that all runs have")
        return
    steps, means, spreads = zip(*points, strict=True)
    low = [scale * (mean - spread) for mean, spread in zip(means, spreads, strict=True)]
    high = [scale * (mean + spread) for mean, spread in zip(means, spreads, strict=True)]
    axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(steps, [scale * mean for mean in means], color=colour, marker="o", markersize=4, linewidth=1.8, label=label)


def _draw_differences(axes: Any, groups: Sequence[RunGroup], differences: Sequence[GroupDifference], scale: float) -> None:
    """One row a group: its interval, the mean, and what the difference is called."""
    axes.axvline(0.0, color=_GREY, linewidth=1.0)
    for row, one in enumerate(differences):
        colour = COLOURS[one.group % len(COLOURS)]
        if one.low is not None and one.high is not None:
            axes.plot([scale * one.low, scale * one.high], [row, row], color=colour, linewidth=2.2, alpha=0.6)
        axes.plot([scale * one.mean], [row], color=colour, marker="o", markersize=6)
        axes.annotate(
            one.verdict, (scale * one.mean, row), xytext=(0, 7), textcoords="offset points", ha="center", color="#333333"
        )
    axes.set_yticks(range(len(differences)), [groups[one.group].title for one in differences])
    axes.set_ylim(len(differences) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.15)
