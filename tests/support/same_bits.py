"""Runs one plan in the C runtime and by the naive loops from equal memory, and compares every byte."""

from __future__ import annotations

import numpy as np

from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import GraphPlan
from support.c_runtime import run_in_c
from support.naive_plan import NaivePlan


def random_memory(plan: GraphPlan, seed: int) -> tuple[bytearray, bytearray]:
    """State and arena of random numbers around zero, which as integers are large."""
    rng = np.random.default_rng(seed)
    sizes = (plan.state_bytes, plan.arena_bytes)
    made = [bytearray(rng.standard_normal(size // 4 + 1).astype("<f4").tobytes()[:size]) for size in sizes]
    return made[0], made[1]


def equal_bits(one: bytearray, other: bytearray) -> bool:
    """Whether all bytes are equal but for the bits of NaN, which the format leaves open."""
    whole = len(one) // 4 * 4
    a, b = (np.frombuffer(bytes(data[:whole]), "<f4") for data in (one, other))
    same = (a.view("<u4") == b.view("<u4")) | (np.isnan(a) & np.isnan(b))
    return len(one) == len(other) and bool(same.all()) and one[whole:] == other[whole:]


def assert_same_bits(
    plan: GraphPlan,
    seed: int,
    *,
    flags: tuple[str, ...] = (),
    times: int = 1,
    changes_nothing: bool = False,
    state: bytearray | None = None,
) -> None:
    """Both change the memory, and in the same way.

    Args:
        plan: what to run.
        seed: of the memory.
        flags: for the compiler. Default: none.
        times: runs, one after another. Default: 1.
        changes_nothing: whether memory may stay as it is. Default: no.
        state: another state than that of the seed. Default: none.
    """
    random_state, arena = random_memory(plan, seed)
    state = random_state if state is None else state
    c_state, c_arena = bytearray(state), bytearray(arena)
    before = bytes(state + arena)
    assert run_in_c(encode(plan), c_state, c_arena, flags=flags, times=times) == (0, 0)
    naive = NaivePlan(plan, state, arena)
    for _ in range(times):
        naive.run()
    assert changes_nothing or bytes(state + arena) != before, "the plan does nothing"
    assert equal_bits(c_state, state), plan.kernels
    assert equal_bits(c_arena, arena), plan.kernels
