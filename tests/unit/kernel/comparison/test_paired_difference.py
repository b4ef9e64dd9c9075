"""Paired differences over few seeds: the interval is the textbook's, and chance is never called a result."""

from __future__ import annotations

import random
import statistics

import pytest

from edgebll.kernel.comparison.paired_difference import paired_difference

#: Two-sided 95 % quantiles of Student's t, from tables, by degrees of freedom.
T95 = {2: 4.302653, 4: 2.776445}


def by_seed(*values: float) -> dict[int, float]:
    return dict(enumerate(values))


@pytest.mark.parametrize("count", [3, 5])
def test_the_interval_is_the_textbook_s(count: int) -> None:
    gaps = [0.5, 0.9, 0.1, 0.4, 0.7][:count]
    found = paired_difference(by_seed(*[80 + gap for gap in gaps]), by_seed(*[80.0] * count))
    assert found is not None
    half = T95[count - 1] * statistics.stdev(gaps) / count**0.5
    assert found.mean == pytest.approx(statistics.fmean(gaps))
    assert (found.low, found.high) == (pytest.approx(found.mean - half, abs=1e-6), pytest.approx(found.mean + half, abs=1e-6))


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ((80.0, 80.5, 80.2), (78.0, 78.4, 78.3), "higher"),
        ((78.0, 78.4, 78.3), (80.0, 80.5, 80.2), "lower"),
        ((80.0, 80.5, 80.2), (79.9, 80.6, 80.0), "not resolved"),  # the interval holds zero
        ((80.2, 81.2, 82.2), (80.0, 81.0, 82.0), "not resolved"),  # always 0.2 more, but seeds alone move both by 1
        ((80.0, 80.5), (70.0, 70.1), "not resolved"),  # two seeds show nothing, however far apart
        ((80.0,), (10.0,), "not resolved"),
    ],
)
def test_only_what_is_above_the_noise_is_called(ours: tuple[float, ...], theirs: tuple[float, ...], verdict: str) -> None:
    found = paired_difference(by_seed(*ours), by_seed(*theirs))
    assert found is not None
    assert found.verdict == verdict


def test_only_common_seeds_count() -> None:
    found = paired_difference({0: 1.0, 1: 2.0, 7: 9.0}, {1: 1.5, 7: 8.0, 8: 0.0})
    assert found is not None
    assert (found.seeds, found.mean) == ((1, 7), 0.75)
    assert (found.low, found.high, found.verdict) == (None, None, "not resolved")
    assert paired_difference({0: 1.0}, {1: 1.0}) is None


def test_chance_is_seldom_called_a_result() -> None:
    """Of 2,000 comparisons of a rule with itself, over three seeds, at most one in twenty."""
    draw = random.Random(0)
    called = 0
    for _ in range(2000):
        ours, theirs = (by_seed(*[draw.gauss(80, 0.4) for _ in range(3)]) for _ in range(2))
        found = paired_difference(ours, theirs)
        assert found is not None
        called += found.verdict != "not resolved"
    assert 0 < called <= 100
