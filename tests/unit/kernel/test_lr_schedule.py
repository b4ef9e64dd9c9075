"""Learning-rate schedules against their equations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.lr_schedule import KINDS, Schedule


def test_constant() -> None:
    assert {Schedule(0.3, "constant").rate(step, 10) for step in range(12)} == {0.3}


def test_cosine_falls_from_the_peak_towards_zero() -> None:
    rates = [Schedule(0.2, "cosine").rate(step, 100) for step in range(100)]
    assert rates[0] == 0.2
    assert rates[50] == pytest.approx(0.1)
    assert rates == sorted(rates, reverse=True)
    assert rates[99] == pytest.approx(0.1 * (1 + math.cos(math.pi * 0.99)))
    assert Schedule(0.2, "cosine").rate(100, 100) == pytest.approx(0, abs=1e-12)


def test_step_decays_at_each_milestone() -> None:
    schedule = Schedule(1.0, "step", milestones=(0.25, 0.5), decay=0.1)
    assert [schedule.rate(step, 8) for step in (0, 1, 2, 3, 4, 7)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_warm_up_rises_linearly_to_the_peak() -> None:
    schedule = Schedule(0.4, "constant", warmup_steps=4)
    assert [schedule.rate(step, 10) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4])
    assert Schedule(0.4, "cosine", warmup_steps=4).rate(4, 10) == 0.4
    assert Schedule(0.4, "cosine", warmup_steps=9).rate(2, 5) == pytest.approx(0.4 * 3 / 9)  # longer than the run


@given(st.sampled_from(KINDS), st.integers(0, 20), st.integers(1, 50), st.integers(0, 100))
def test_the_rate_stays_between_zero_and_the_peak(kind: str, warmup: int, total: int, step: int) -> None:
    assert 0 <= Schedule(0.5, kind, warmup).rate(step, total) <= 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"lr": 0.0}, "learning rate must be above 0, not 0"),
        ({"lr": float("nan")}, "learning rate"),
        ({"lr": 0.1, "kind": "linear"}, "one of constant, cosine, step, not 'linear'"),
        ({"lr": 0.1, "warmup_steps": -1}, "warm-up"),
        ({"lr": 0.1, "milestones": (0.5, 1.0)}, "milestones"),
        ({"lr": 0.1, "decay": 0.0}, "decay"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Schedule(**options)  # type: ignore[arg-type]
