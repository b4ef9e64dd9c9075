"""When metrics are fetched, and that none is lost or mixed up."""

from __future__ import annotations

import pytest
import torch

from edgebll.learning.training.pending_metrics import Pending


class Clock:
    """Stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("step_s", "expected"), [(0.001, [1, 11, 21, 24, 25]), (0.5, [1, 5, 9, 13, 17, 21, 24, 25]), (9.0, [*range(1, 26)])]
)
def test_steps_wait_for_each_other_but_not_for_long(step_s: float, expected: list[int]) -> None:
    """At most 10 steps, at most 2 s; the first step, and the first after the checkpoint of step 24, wait for none."""
    clock = Clock()
    pending, fetched, told = Pending(10, clock), [], []
    for step in range(1, 26):
        clock.now += step_s
        vectors = [torch.tensor([float(step)]), torch.tensor([step + 0.25, step + 0.5])]
        if pending.add(step, step // 10, 1.0 / step, vectors) or step == 24:
            fetched.append(step)
            told += pending.fetch(stopping=step == 24)
    assert fetched == expected
    assert [one.step for one in told] == list(range(1, 26))
    assert all(one.metrics == ((one.step,), (one.step + 0.25, one.step + 0.5)) for one in told)
    assert all((one.epoch, one.lr) == (one.step // 10, 1.0 / one.step) for one in told)
    assert pending.fetch() == []
