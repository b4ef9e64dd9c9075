"""Events in frames: none is lost and none is added, whatever they are and however they are cut."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.data.events.binning import COUNT, TIME, Events, as_bytes, counted, steps_of

HEIGHT, WIDTH = 5, 3
Rows = list[tuple[int, int, int, int]]
rows = st.lists(
    st.tuples(st.integers(0, 2**40), st.integers(0, WIDTH - 1), st.integers(0, HEIGHT - 1), st.integers(0, 1)), max_size=40
)


def events_of_rows(rows: Rows) -> Events:
    columns = np.array(sorted(rows, key=lambda row: row[0]), np.int64).reshape(-1, 4)
    return Events(*columns.T)


@given(rows, st.integers(1, 12), st.sampled_from([TIME, COUNT]))
def test_every_event_is_in_one_frame(given_rows: Rows, time_steps: int, by: str) -> None:
    events = events_of_rows(given_rows)
    steps = steps_of(events, time_steps, by)
    counts = counted(events, steps, time_steps, HEIGHT, WIDTH)
    expected = np.zeros((time_steps, 2, HEIGHT, WIDTH), np.int64)
    for step, x, y, p in zip(steps.tolist(), events.x.tolist(), events.y.tolist(), events.p.tolist(), strict=True):
        expected[step, p, y, x] += 1
    assert np.array_equal(counts, expected)
    assert counts.sum() == len(given_rows)
    assert np.all(np.diff(steps) >= 0)
    if by == COUNT and given_rows:
        sizes = np.bincount(steps, minlength=time_steps)
        assert sizes.max() - sizes.min() <= 1


@given(rows, st.integers(1, 12), st.integers(0, 2**40), st.integers(1, 2**40))
def test_steps_of_time_are_of_equal_duration(given_rows: Rows, time_steps: int, begin: int, duration: int) -> None:
    events = events_of_rows(given_rows)
    found = steps_of(events, time_steps, TIME, begin, duration)
    for t, step in zip(events.t.tolist(), found.tolist(), strict=True):
        inside = begin <= t < begin + duration
        assert (step >= 0) == inside
        if inside:
            assert step * duration <= (t - begin) * time_steps < (step + 1) * duration
    assert counted(events, found, time_steps, HEIGHT, WIDTH).sum() == (found >= 0).sum()


@given(rows.filter(bool), st.data())
def test_events_off_the_sensor_and_out_of_order_are_refused(given_rows: Rows, data: st.DataObject) -> None:
    events = events_of_rows(given_rows)
    place = data.draw(st.integers(0, len(events) - 1))
    for axis, value in (("x", WIDTH), ("x", -1), ("y", HEIGHT), ("y", -1)):
        moved = getattr(events, axis).copy()
        moved[place] = value
        off = Events(**{**vars(events), axis: moved})
        with pytest.raises(ValueError, match=f"event {place} is at column .* outside the sensor of 5x3"):
            counted(off, steps_of(off, 4), 4, HEIGHT, WIDTH)
    late = events.t.copy()
    late[-1] = late[0] - 1
    if len(late) > 1:
        with pytest.raises(ValueError, match=rf"event {len(late) - 1} is at -?\d+ us, before event {len(late) - 2}"):
            Events(late, events.x, events.y, events.p).in_order()
        ordered = Events(late, events.x, events.y, events.p).in_order(sort=True)
        assert sorted(late.tolist()) == ordered.t.tolist()
        rows = zip(late, events.x, events.y, events.p, strict=True)
        assert sorted(rows) == sorted(zip(ordered.t, ordered.x, ordered.y, ordered.p, strict=True))


def test_more_than_a_byte_of_events_are_255() -> None:
    assert as_bytes(np.array([0, 255, 256, 10**9])).tolist() == [0, 255, 255, 255]
