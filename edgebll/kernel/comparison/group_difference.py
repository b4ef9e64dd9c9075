"""Whether two groups of runs differ: an interval from few seeds, and words that never call chance a result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from edgebll.kernel.comparison.paired_difference import CONFIDENCE, HIGHER, LOWER, MIN_SEEDS, paired_interval
from edgebll.kernel.comparison.run_groups import RunGroup
from edgebll.kernel.comparison.student_t import t_quantile

WITHIN_SPREAD, NOT_SHOWN, TOO_FEW = "within the spread", "not shown", "too few seeds"


@dataclass(frozen=True)
class GroupDifference:
    """What a group has more than the reference.

    Attributes:
        group: index of the group.
        seeds: matched seeds that the difference was taken over; empty where it is not paired.
        counts: runs of the group and of the reference it was taken over.
        mean: mean difference, group minus reference.
        spread: what the mean must exceed to be called: the largest of both groups' standard deviations and, where seeds match,
            that of the differences; None where it is not known.
        low: lower end of the interval; None where there is none.
        high: upper end of the interval; None where there is none.
        verdict: HIGHER, LOWER, WITHIN_SPREAD, NOT_SHOWN or TOO_FEW.
    """

    group: int
    seeds: tuple[int, ...]
    counts: tuple[int, int]
    mean: float
    spread: float | None
    low: float | None
    high: float | None
    verdict: str

    @property
    def paired(self) -> bool:
        """Whether seeds match."""
        return bool(self.seeds)


def rule_text(comparisons: int) -> str:
    """The rule by which differences are called, in words.

    Args:
        comparisons: how many groups are compared with the reference.
    """
    together = "" if comparisons < 2 else f", {100 * CONFIDENCE:g} % for all {comparisons} together (Bonferroni)"
    return (
        f"A difference is called higher or lower where its {100 * CONFIDENCE:g} % t interval{together} leaves out zero and its "
        "mean is above the spread: the largest standard deviation over seeds of either group and of the differences. Where "
        f"{MIN_SEEDS} or more seeds match it is paired by seed, else Welch's; fewer than {MIN_SEEDS} runs a group show nothing."
    )


def difference_of(groups: Sequence[RunGroup], group: int, reference: int, comparisons: int) -> GroupDifference:
    """Compare a group with the reference.

    Args:
        groups: of the comparison.
        group: index of one.
        reference: index of what it is compared with.
        comparisons: how many are, which share the risk of calling chance a result.
    """
    ours, theirs = groups[group], groups[reference]
    level = 1.0 - (1.0 - CONFIDENCE) / max(1, comparisons)
    left, right = ours.by_seed, theirs.by_seed
    seeds = tuple(sorted(left.keys() & right.keys()))
    if len(seeds) >= MIN_SEEDS or (seeds and min(len(ours.values), len(theirs.values)) < MIN_SEEDS):
        gaps = [left[seed] - right[seed] for seed in seeds]
        interval = paired_interval(gaps, level)
        mean, counts, spreads = statistics.fmean(gaps), (len(seeds), len(seeds)), [*_spread(gaps)]
    else:
        seeds, interval = (), _welch(ours.values, theirs.values, level)
        mean, counts, spreads = ours.mean - theirs.mean, (len(ours.values), len(theirs.values)), []
    spreads += [one.spread for one in (ours, theirs) if one.spread is not None]
    spread = max(spreads) if spreads else None
    low, high = interval or (None, None)
    return GroupDifference(group, seeds, counts, mean, spread, low, high, _verdict(mean, spread, interval))


def _spread(values: Sequence[float]) -> list[float]:
    return [statistics.stdev(values)] if len(values) > 1 else []


def _welch(ours: Sequence[float], theirs: Sequence[float], level: float) -> tuple[float, float] | None:
    """Welch's interval; its degrees of freedom are rounded down, which makes it wider."""
    if min(len(ours), len(theirs)) < MIN_SEEDS:
        return None
    parts = [statistics.variance(values) / len(values) for values in (ours, theirs)]
    error, gap = math.sqrt(sum(parts)), statistics.fmean(ours) - statistics.fmean(theirs)
    if not error:
        return gap, gap
    df = sum(parts) ** 2 / sum(part**2 / (len(v) - 1) for part, v in zip(parts, (ours, theirs), strict=True))
    half = t_quantile(level, max(1, math.floor(df))) * error
    return gap - half, gap + half


def _verdict(mean: float, spread: float | None, interval: tuple[float, float] | None) -> str:
    if interval is None or spread is None:
        return TOO_FEW
    if interval[0] <= 0.0 <= interval[1]:
        return NOT_SHOWN
    if abs(mean) <= spread:
        return WITHIN_SPREAD
    return HIGHER if mean > 0 else LOWER
