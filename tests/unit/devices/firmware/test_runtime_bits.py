"""The C runtime computes what the specification says, to the bit; naive loops over single float32 numbers are the judge."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from support.c_runtime import library, run_in_c
from support.naive_plan import naive_exp, naive_log
from support.random_plans import MAKERS, random_plan
from support.same_bits import assert_same_bits

from edgebll.kernel.microcontroller.plan_check import check_plan
from edgebll.kernel.microcontroller.plan_format import encode
from edgebll.kernel.microcontroller.plan_kernels import ElementKernel, GemmKernel, GraphPlan
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, Region, StepGraph
from edgebll.kernel.spec.plan_versions import VERSION
from edgebll_devices.microcontroller.firmware_build import PROFILE_FLAGS

SPECIAL = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    math.inf,
    -math.inf,
    math.nan,
    1e-40,
    -1e-45,
    88.72283,
    88.72284,
    -87.33654,
    -87.336545,
    3.4e38,
    0.70710677,
)
NAN_TOO = np.array(SPECIAL, np.float32)


@pytest.mark.parametrize("kind", range(len(MAKERS)), ids=["element", "reduce", "gemm", "conv", "gather"])
@pytest.mark.parametrize("seed", [*range(8), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(8, 80))])
def test_random_kernels_give_the_same_bits(kind: int, seed: int) -> None:
    plan = random_plan(Random(seed * 10 + kind), (kind,), 2)
    check_plan(plan)
    assert_same_bits(plan, seed, changes_nothing=seed >= 8)  # taps that all miss the input, rows added to themselves


@pytest.mark.parametrize("kind", range(len(MAKERS)), ids=["element", "reduce", "gemm", "conv", "gather"])
def test_the_small_profile_gives_the_same_bits(kind: int) -> None:
    plans = (random_plan(Random(seed * 10 + kind), (kind,), 2) for seed in range(40))
    for seed, plan in enumerate(itertools.islice((each for each in plans if encode(each)[4] == VERSION), 6)):
        assert_same_bits(plan, seed, flags=PROFILE_FLAGS["small"], changes_nothing=True)


def test_kernels_after_one_another_and_runs_after_one_another() -> None:
    for seed in range(4):
        assert_same_bits(random_plan(Random(seed)), seed, times=3)


def in_c(code: Code, values: np.ndarray) -> np.ndarray:
    """One instruction over many numbers."""
    source, result = (Operand(Region.ARENA, at, (1,)) for at in (0, len(values)))
    kernel = ElementKernel((len(values),), (source, result), (Instruction(code, 9, 8),))
    plan = GraphPlan(StepGraph.STEP, 0, 8 * len(values), (), b"", (kernel,))
    arena = bytearray(values.astype("<f4").tobytes() * 2)
    assert run_in_c(encode(plan), bytearray(), arena) == (0, 0)
    return np.frombuffer(bytes(arena[4 * len(values) :]), "<f4")


@pytest.mark.parametrize(
    ("code", "exact", "low", "high", "ulp"),
    [(Code.EXP, np.exp, -87.3, 88.7, 1.6), (Code.LOG, np.log, 1e-30, 1e3, 1.6), (Code.SQRT, np.sqrt, 0.0, 1e9, 0.51)],
)
def test_functions_are_near_the_truth(code: Code, exact: np.ufunc, low: float, high: float, ulp: float) -> None:
    values = np.random.default_rng(0).uniform(low, high, 20_000).astype(np.float32)
    truth = exact(values.astype(np.float64))
    wrong = np.abs(in_c(code, values) - truth) / np.maximum(np.spacing(np.abs(truth).astype(np.float32)), 2**-24)
    assert wrong.max() < ulp


def test_logarithms_beside_one_are_near_the_truth() -> None:
    values = (1 + np.random.default_rng(1).uniform(-0.2, 0.2, 5_000)).astype(np.float32)
    truth = np.log(values.astype(np.float64))
    assert np.max(np.abs(in_c(Code.LOG, values) / truth - 1)) < 4e-7


@pytest.mark.parametrize(
    ("code", "naive"), [(Code.EXP, naive_exp), (Code.LOG, naive_log), (Code.SQRT, np.sqrt), (Code.FLOOR, np.floor)]
)
def test_functions_have_the_bits_of_the_specification(code: Code, naive: Callable[..., np.float32]) -> None:
    rng = np.random.default_rng(2)
    any_bits = rng.integers(0, 1 << 32, 1500, np.uint32).view(np.float32)
    values = np.concatenate([NAN_TOO, any_bits, rng.uniform(-90, 90, 500).astype(np.float32)])
    with np.errstate(all="ignore"):
        wanted = np.array([naive(v) for v in values], np.float32)
    np.testing.assert_array_equal(in_c(code, values), wanted)
    zeros = wanted == 0
    np.testing.assert_array_equal(np.signbit(in_c(code, values)[zeros]), np.signbit(wanted[zeros]))


def test_a_long_sum_is_taken_in_order_and_rounded_at_every_step() -> None:
    """4096 products of which no other order and no fused operation has the same sum."""
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(4096).astype(np.float32) for _ in range(2))
    operands = Operand(Region.ARENA, 0, (0, 1)), Operand(Region.ARENA, 4096, (0, 1))
    kernel = GemmKernel((1,), 4096, *operands, (Operand(Region.STATE, 0, (1,)),), (Instruction(Code.MOVE, 8, 0),))
    state, arena = bytearray(4), bytearray(np.concatenate([a, b]).tobytes())
    assert run_in_c(encode(GraphPlan(StepGraph.STEP, 4, len(arena), (), b"", (kernel,))), state, arena) == (0, 0)
    total = np.float32(-0.0)
    for x, y in zip(a, b, strict=True):
        total = total + x * y
    result = np.frombuffer(bytes(state), np.float32)[0]
    assert result == total
    assert result != np.dot(a.astype(np.float64), b.astype(np.float64)).astype(np.float32)


def test_the_hook_is_called_in_the_midst_of_a_long_kernel() -> None:
    operands = Operand(Region.ARENA, 0, (0, 0, 1)), Operand(Region.ARENA, 512, (0, 0, 1))
    kernel = GemmKernel((100, 8), 512, *operands, (Operand(Region.STATE, 0, (8, 1)),), (Instruction(Code.MOVE, 8, 0),))
    before = library().runtime_hooks()
    assert run_in_c(encode(GraphPlan(StepGraph.STEP, 3200, 4096, (), b"", (kernel,))), bytearray(3200), bytearray(4096)) == (
        0,
        0,
    )
    assert library().runtime_hooks() - before == 50
