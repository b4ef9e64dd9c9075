"""Gradient descent that the runtime recognises and does in one pass has the bits of the program that it stands for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from support.same_bits import assert_same_bits

from edgebll.kernel.microcontroller.plan_check import check_plan
from edgebll.kernel.microcontroller.plan_kernels import GemmKernel, GraphPlan
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, Region, StepGraph

ROWS, COLUMNS = 5, 37
W, M, RATE, DECAY, MOMENTUM = range(8, 13)
SCALES = np.array([0.05, 5e-4, 0.9], "<f4").tobytes()


def step(target: int, scale: int, vector: int, added: int, *, turned: bool) -> Instruction:
    factors = (vector, scale) if turned else (scale, vector)
    return Instruction(Code.MULSUB if scale == RATE else Code.MULADD, target, *factors, added)


def descent(decay: bool, kind: str, turned: bool) -> tuple[Instruction, ...]:
    steps = [step(0, DECAY, W, 0, turned=turned)] if decay else []
    if kind != "plain":
        steps.append(step(M, MOMENTUM, M, 0, turned=turned))
    if kind == "nesterov":
        steps.append(step(0, MOMENTUM, M, 0, turned=turned))
    return (*steps, step(W, RATE, M if kind == "momentum" else 0, W, turned=turned))


def plan_of(program: tuple[Instruction, ...], k: int, across: int = 1) -> GraphPlan:
    weights, moments = (Operand(Region.STATE, at, (COLUMNS, 1)) for at in (0, ROWS * COLUMNS))
    scales = tuple(Operand(Region.CONSTANTS, at, (0, 0)) for at in range(3))
    a, b = Operand(Region.ARENA, 0, (k, 0, 1)), Operand(Region.ARENA, ROWS * k, (0, across, COLUMNS * across))
    kernel = GemmKernel((ROWS, COLUMNS), k, a, b, (weights, moments, *scales), program)
    arena = 4 * (ROWS * k + k * COLUMNS * across)
    return GraphPlan(StepGraph.STEP, 8 * ROWS * COLUMNS, arena, (), SCALES, (kernel,))


CASES = list(itertools.product((False, True), ("plain", "momentum", "nesterov"), (False, True)))


@pytest.mark.parametrize(("decay", "kind", "turned"), CASES)
@pytest.mark.parametrize(("k", "across"), [(1, 1), (3, 1), (1, 2)])
def test_one_pass_has_the_bits_of_the_program(decay: bool, kind: str, turned: bool, k: int, across: int) -> None:
    plan = plan_of(descent(decay, kind, turned), k, across)
    check_plan(plan)
    assert_same_bits(plan, 3, times=2)


@pytest.mark.parametrize(("k", "across"), [(1, 1), (3, 1), (1, 2)])
def test_gradients_that_were_scaled_before(k: int, across: int) -> None:
    plan = plan_of((Instruction(Code.SUB, W, W, 0),), k, across)
    check_plan(plan)
    assert_same_bits(plan, 5, times=2)


@pytest.mark.parametrize(
    "program",
    [
        (step(0, DECAY, M, 0, turned=False), step(W, RATE, 0, W, turned=False)),
        (step(M, MOMENTUM, M, 0, turned=False), step(0, DECAY, M, 0, turned=False), step(W, RATE, 0, W, turned=False)),
        (step(M, MOMENTUM, M, 0, turned=False), step(W, RATE, 0, W, turned=False)),
        (step(W, RATE, M, W, turned=False),),
        (step(0, DECAY, W, 0, turned=False), step(W, RATE, 0, W, turned=False), Instruction(Code.NEG, M, W)),
        (Instruction(Code.MULADD, 0, DECAY, W, 0), Instruction(Code.MULADD, W, RATE, 0, W)),
    ],
    ids=["decay of another", "another scale", "momentum not used", "no gradient", "more behind", "ascent"],
)
def test_what_only_looks_like_it_is_done_as_it_stands(program: tuple[Instruction, ...]) -> None:
    for k in (1, 2):
        plan = plan_of(program, k)
        check_plan(plan)
        assert_same_bits(plan, 4)
