"""Plans of random graphs: ONNX Runtime's results exactly, and what is alive at one time never overlaps."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.planned_graphs import check_lifetimes, plan_model, run_onnxruntime, run_planned
from support.random_step_graphs import random_step_graph, whole_numbers

SEEDS = st.integers(0, 1 << 32)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_a_plan_gives_what_its_graph_gives(seed: int) -> None:
    """The arena is full of NaN before: a value that is read before it is written would show."""
    model = random_step_graph(Random(seed))
    planned, layout = plan_model(model)
    values = whole_numbers(model, seed)
    expected = run_onnxruntime(model, values)
    results = run_planned(planned, layout, values)
    assert results.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(results[name], value, err_msg=name)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_what_is_alive_at_one_time_never_overlaps(seed: int) -> None:
    planned, _ = plan_model(random_step_graph(Random(seed), nodes=20))
    check_lifetimes(planned)
    assert planned.lower_bound_bytes <= planned.plan.arena_bytes
