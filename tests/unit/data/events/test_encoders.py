"""Encoders against loops over samples, time steps and values, in Python's own numbers."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.plain_draws import drawn

from edgebll.data.events.encoders import FULL, delta_spikes, intensities, latency_spikes, rate_spikes

levels = st.lists(st.integers(0, FULL), min_size=6, max_size=6)


def test_intensities_are_parts_of_the_range() -> None:
    samples = np.array([[-1, 0, 1, 4, 15, 16, 99]], np.int64)
    assert intensities(samples, 0, 16).tolist() == [[0, 0, 4096, 16384, 61440, 65536, 65536]]
    floats = np.array([[-2.5, -2.0, 0.1, 3.0]], np.float32)
    expected = [0, 0, int((Fraction(float(np.float32(0.1))) + 2) / 5 * FULL), FULL]
    assert intensities(floats, -2.0, 3.0).tolist() == [expected]


@settings(max_examples=30)
@given(levels, st.integers(1, 9), st.integers(0, 2**32 - 1), st.integers(0, 2**40))
def test_rate_draws_each_spike_by_its_place(values: list[int], time_steps: int, seed: int, index: int) -> None:
    found = rate_spikes(np.array(values).reshape(1, 2, 3), np.array([index]), time_steps, (seed, 1))
    assert found.shape == (1, time_steps, 2, 3)
    expected = [drawn((seed, 1), index, step * 6 + place) < values[place] for step in range(time_steps) for place in range(6)]
    assert found.ravel().tolist() == expected


def test_rates_are_the_intensities() -> None:
    values = np.array([[0, FULL // 10, FULL // 2, FULL]])
    rates = rate_spikes(np.repeat(values, 50, 0), np.arange(50), 400, (0, 0)).mean((0, 1))
    assert rates[0] == 0
    assert rates[3] == 1
    for rate, part in ((rates[1], 0.1), (rates[2], 0.5)):
        assert abs(rate - part) < 4 * (part * (1 - part) / 20_000) ** 0.5


@settings(max_examples=50)
@given(levels, st.integers(1, 20))
def test_latency_is_one_spike_the_earlier_the_brighter(values: list[int], time_steps: int) -> None:
    found = latency_spikes(np.array([values]), time_steps)[0]
    assert found.sum(0).tolist() == [int(value > 0) for value in values]
    first = {value: int(found[:, place].argmax()) for place, value in enumerate(values) if value}
    assert all(step == (FULL - value) * time_steps // FULL for value, step in first.items())
    ordered = sorted(first)
    assert all(first[dark] >= first[bright] for dark, bright in itertools.pairwise(ordered))
    even = (
        np.arange(1, time_steps + 1) * FULL // time_steps
    )  # where whole steps end: the highest is first, each next a step later
    if FULL % time_steps == 0:
        assert np.array_equal(latency_spikes(even[None], time_steps)[0], np.eye(time_steps)[:, ::-1])
    assert latency_spikes(np.array([[FULL]]), time_steps)[0, 0].all()


def naive_delta(values: list[int], step: int) -> list[tuple[bool, bool]]:
    compared, found = values[0], []
    for value in values:
        change = value - compared
        found.append((change <= -step, change >= step))
        if abs(change) >= step:
            compared = value
    return found


@settings(max_examples=50)
@given(st.lists(st.integers(0, FULL), min_size=1, max_size=12), st.sampled_from([0.01, 0.1, 0.5]))
def test_delta_tells_changes_since_the_last_spike(values: list[int], threshold: float) -> None:
    mirrored = [FULL - value for value in values]
    found = delta_spikes(np.array([[values, mirrored]]), threshold)
    assert found.shape == (1, len(values), 2, 2)
    step = round(threshold * FULL)
    assert [tuple(pair) for pair in found[0, :, :, 0].tolist()] == naive_delta(values, step)
    assert np.array_equal(found[0, :, :, 1], found[0, :, ::-1, 0])


@pytest.mark.parametrize("kind", ["rate", "latency", "delta"])
def test_a_batch_in_another_order_is_the_same_samples(kind: str) -> None:
    values, order = np.random.default_rng(0).integers(0, FULL + 1, (9, 2, 5)), np.random.default_rng(1).permutation(9)

    def spikes(rows: Any) -> Any:
        if kind == "rate":
            return rate_spikes(values[rows], rows, 4, (1, 0))
        return latency_spikes(values[rows], 4) if kind == "latency" else delta_spikes(values[rows], 0.2)

    assert np.array_equal(spikes(order), spikes(np.arange(9))[order])
