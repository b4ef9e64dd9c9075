"""The ordered reference has the bits of loops written from the specification, and of the C runtime."""

from __future__ import annotations

from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from support.c_runtime import run_in_c
from support.naive_plan import NaivePlan
from support.planned_graphs import plan_model
from support.random_plans import random_plan
from support.random_step_graphs import random_step_graph
from support.same_bits import equal_bits, random_memory

from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import GraphPlan

SEEDS = st.integers(0, 1 << 32)


def _ordered(plan: GraphPlan, seed: int) -> tuple[bytearray, bytearray]:
    """State and arena after a run."""
    state, arena = random_memory(plan, seed)
    run_ordered(plan, np.frombuffer(state, np.uint8), np.frombuffer(arena, np.uint8))
    return state, arena


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_random_plans_have_the_bits_of_plain_loops(seed: int) -> None:
    plan = random_plan(Random(seed))
    state, arena = random_memory(plan, seed)
    NaivePlan(plan, state, arena).run()
    own_state, own_arena = _ordered(plan, seed)
    assert equal_bits(own_state, state)
    assert equal_bits(own_arena, arena)


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_plans_of_random_graphs_have_the_bits_of_the_c_runtime(seed: int) -> None:
    plan = plan_model(random_step_graph(Random(seed)))[0].plan
    state, arena = random_memory(plan, seed)
    assert run_in_c(encode(plan), state, arena)[0] == 0
    own_state, own_arena = _ordered(plan, seed)
    assert equal_bits(own_state, state)
    assert equal_bits(own_arena, arena)
