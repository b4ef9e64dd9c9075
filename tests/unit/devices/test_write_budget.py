"""What may be written in a day, and what may be saved up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgebll_devices.storage.write_budget import WriteBudget, disk_budget

DAY_S = 86400.0


def test_a_day_brings_so_much() -> None:
    budget = WriteBudget(per_day=24.0, saved=6.0)
    assert budget.take(6, 0.0)
    assert not budget.take(1, 0.0)
    assert budget.take(1, 3601.0)
    assert not budget.take(2, 3602.0)
    assert budget.take(6, 10 * DAY_S)
    assert not budget.take(1, 10 * DAY_S), "only so much is saved up, however long nothing was written"


def test_something_larger_than_what_is_saved_is_paid_for_afterwards() -> None:
    budget = WriteBudget(per_day=24.0, saved=6.0)
    assert budget.take(12, 0.0)
    assert not budget.take(12, 0.4 * DAY_S)
    assert budget.take(12, 0.51 * DAY_S)


def test_without_a_limit_all_may_be_written() -> None:
    budget = WriteBudget(per_day=0.0, saved=0.0)
    assert all(budget.take(1 << 40, 0.0) for _ in range(10))


def test_the_disk_may_bear_a_gib_at_once_and_so_many_a_day() -> None:
    budget = disk_budget(10.0)
    assert budget.take(1 << 30, 0.0)
    assert not budget.take(1 << 20, 8.0)
    assert budget.take(1 << 20, 9.0)
    assert disk_budget(0.0).take(1 << 50, 0.0)


@given(
    st.floats(1.0, 1e12),
    st.floats(1.0, 1e12),
    st.lists(st.tuples(st.integers(0, 10**12), st.floats(0.0, 1e5)), max_size=40),
)
def test_never_more_than_what_came_in(per_day: float, saved: float, wishes: list[tuple[int, float]]) -> None:
    """All that was written before the last wish is covered by what was saved at first and what came since."""
    budget, now_s, written = WriteBudget(per_day, saved), 0.0, 0
    for size, pause_s in wishes:
        now_s += pause_s
        if budget.take(size, now_s):
            assert written + min(size, saved) <= (saved + now_s * per_day / DAY_S) * (1 + 1e-9)
            written += size
