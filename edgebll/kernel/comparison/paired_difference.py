"""The difference of two rules over the same seeds: a paired t interval, and a word that never calls chance a result."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edgebll.kernel.comparison.student_t import t_quantile

#: How sure an interval is.
CONFIDENCE = 0.95
#: Fewer seeds show nothing.
MIN_SEEDS = 3
HIGHER, LOWER, NOT_RESOLVED = "higher", "lower", "not resolved"


@dataclass(frozen=True)
class PairedDifference:
    """What one has more than the other.

    Attributes:
        seeds: that both have.
        mean: of the differences, seed by seed.
        spread: what the mean must exceed: the largest standard deviation over seeds, of either or of the differences; None for
            a single seed.
        low: lower end of the 95 % t interval of the mean; None for fewer than three seeds.
        high: upper end of it; None for fewer than three seeds.
        verdict: HIGHER or LOWER where the interval leaves out zero and the mean exceeds the spread; else NOT_RESOLVED.
    """

    seeds: tuple[int, ...]
    mean: float
    spread: float | None
    low: float | None
    high: float | None
    verdict: str


def paired_difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> PairedDifference | None:
    """Compare figures seed by seed; None where no seed is common.

    Args:
        ours: seed -> figure.
        theirs: seed -> figure of what is compared with.
    """
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    if not seeds:
        return None
    gaps = [ours[seed] - theirs[seed] for seed in seeds]
    mean, interval = statistics.fmean(gaps), paired_interval(gaps, CONFIDENCE)
    spreads = [statistics.stdev(own) for own in (gaps, list(ours.values()), list(theirs.values())) if len(own) > 1]
    spread = max(spreads, default=None)
    low, high = interval or (None, None)
    resolved = low is not None and high is not None and spread is not None and not low <= 0.0 <= high and abs(mean) > spread
    verdict = NOT_RESOLVED if not resolved else HIGHER if mean > 0 else LOWER
    return PairedDifference(seeds, mean, spread, low, high, verdict)


def paired_interval(gaps: Sequence[float], level: float) -> tuple[float, float] | None:
    """mean +- t(level, n - 1) s / sqrt(n); None for fewer than three.

    Args:
        gaps: differences, one a seed.
        level: how sure, in (0, 1).
    """
    n = len(gaps)
    if n < MIN_SEEDS:
        return None
    half = t_quantile(level, n - 1) * statistics.stdev(gaps) / math.sqrt(n)
    return statistics.fmean(gaps) - half, statistics.fmean(gaps) + half
