"""Plans that compute in int8: what boards and Python refuse of them, and what a runtime without int8 says."""

from __future__ import annotations

import math
import zlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from support.c_runtime import run_in_c

from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_check import check_plan, find_fault
from edgebll.kernel.microcontroller.plan_faults import PlanFault
from edgebll.kernel.microcontroller.plan_format import decode, encode
from edgebll.kernel.microcontroller.plan_kernels import ConvKernel, ElementKernel, GemmKernel, GraphPlan, PlanKernel
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, PlanDtype, Port, PortRole, Region, StepGraph

ARENA, CONSTANTS, INT8 = Region.ARENA, Region.CONSTANTS, PlanDtype.INT8
RESULT = (Operand(Region.STATE, 0, (1,)),)
MOVE = (Instruction(Code.MOVE, 8, 0),)
FLOATS = GemmKernel((1,), 4, Operand(ARENA, 0, (0, 1)), Operand(ARENA, 4, (0, 1)), RESULT, MOVE)


def int8_sum(k: int, **fields: Any) -> GemmKernel:
    """A sum of many products of few int8."""
    a, b = (Operand(ARENA, at, (0, 0), INT8) for at in (0, 40))
    return replace(GemmKernel((1,), k, a, b, RESULT, MOVE), **fields)


def int8_window(taps: tuple[int, int]) -> ConvKernel:
    """A window as large as its input, in which all elements are one."""
    x, weight = (Operand(ARENA, at, (0,) * 5, INT8) for at in (0, 40))
    ones, out = (1, 1), Operand(Region.STATE, 0, (0,) * 5)
    return ConvKernel((1, 1, 1, 1, 1), (1, *taps), taps, ones, ones, ones, (0, 0), x, weight, (out,), MOVE)


def copied(code: Code, source: PlanDtype) -> ElementKernel:
    operands = (Operand(ARENA, 0, (1,), source), Operand(ARENA, 20, (1,), INT8))
    return ElementKernel(
        (5,), operands, (Instruction(code, 0, 8), Instruction(Code.TO_INT8, 0, 0), Instruction(Code.STORE, 9, 0))
    )


def plan_of(kernel: PlanKernel) -> GraphPlan:
    port = Port(PortRole.X, 0, PlanDtype.FLOAT32, 0, 20)
    return GraphPlan(StepGraph.FORWARD, 64, 80, (port,), b"\0" * 16, (kernel,))


def in_c(plan: GraphPlan, *flags: str) -> int:
    return run_in_c(encode(plan), bytearray(64), bytearray(80), flags=flags)[0]


GOOD: dict[str, PlanKernel] = {
    "rounding": copied(Code.LOAD, INT8),
    "the longest sum": int8_sum((1 << 17) - 1),
    "the largest window": int8_window((1 << 8, (1 << 9) - 1)),
    "the last byte of constants and arena": int8_sum(
        40, a=Operand(CONSTANTS, 15, (0, 0), INT8), b=Operand(ARENA, 79, (0, -1), INT8)
    ),
}
FAULTS: dict[str, tuple[PlanKernel, PlanFault]] = {
    "factors of bytes without a sign": (
        int8_sum(4, a=Operand(ARENA, 0, (0, 1), PlanDtype.UINT8), b=Operand(ARENA, 8, (0, 1), PlanDtype.UINT8)),
        PlanFault.SLOT,
    ),
    "a sum that 32 bits may not hold": (int8_sum(1 << 17), PlanFault.EXTENT),
    "a window that 32 bits may not hold": (int8_window((1 << 8, 1 << 9)), PlanFault.EXTENT),
    "a factor outside": (int8_sum(30, b=Operand(ARENA, 51, (0, 1), INT8)), PlanFault.RANGE),
    "a constant outside": (int8_sum(2, b=Operand(CONSTANTS, 15, (0, 1), INT8)), PlanFault.RANGE),
    "an int8 that was not loaded": (copied(Code.MOVE, INT8), PlanFault.SLOT),
    "the result over a factor": (
        int8_sum(30, b=Operand(ARENA, 0, (0, 1), INT8), operands=(Operand(ARENA, 7, (1,)),)),
        PlanFault.OVERLAP,
    ),
    "bytes over a float that is read": (
        replace(copied(Code.LOAD, PlanDtype.FLOAT32), operands=(Operand(ARENA, 0, (1,)), Operand(ARENA, 0, (1,), INT8))),
        PlanFault.OVERLAP,
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_kernels_at_the_edges_of_memory_and_numbers_have_no_faults(name: str) -> None:
    plan = plan_of(GOOD[name])
    check_plan(plan)
    assert in_c(plan) == 0
    assert decode(encode(plan)) == plan


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_kernel_is_refused_by_number(name: str) -> None:
    kernel, fault = FAULTS[name]
    assert in_c(plan_of(kernel)) == fault
    assert find_fault(plan_of(kernel)) == (fault, 0)


def test_no_input_or_output_is_int8() -> None:
    plan = replace(plan_of(GOOD["rounding"]), ports=(Port(PortRole.X, 0, INT8, 0, 20),))
    assert in_c(plan) == PlanFault.OPCODE
    assert find_fault(plan) == (PlanFault.OPCODE, -1)


def test_a_runtime_without_int8_says_so_and_runs_what_needs_none() -> None:
    for kernel in GOOD.values():
        assert in_c(plan_of(kernel), "-DEDGEBLL_WITHOUT_INT8") == PlanFault.INT8
    assert in_c(plan_of(FLOATS), "-DEDGEBLL_WITHOUT_INT8") == 0


def test_a_runtime_without_int8_takes_no_int8_from_a_plan_that_says_it_has_none() -> None:
    for name, fault in (("rounding", PlanFault.OPCODE), ("the longest sum", PlanFault.OPCODE)):
        data = bytearray(encode(plan_of(GOOD[name])))
        data[4] = 1
        sealed = bytes(data[:-4]) + zlib.crc32(data[:-4]).to_bytes(4, "little")
        assert run_in_c(sealed, bytearray(64), bytearray(80), flags=("-DEDGEBLL_WITHOUT_INT8",))[0] == fault


def test_plans_say_by_their_version_whether_they_need_int8() -> None:
    assert [encode(plan_of(kernel))[4] for kernel in (FLOATS, *GOOD.values())] == [1, 2, 2, 2, 2]


def test_rounding_is_to_nearest_halves_to_even_cut_and_without_nan() -> None:
    halves = [whole + 0.5 for whole in range(-130, 130)]
    values = [*halves, 0.49999997, -0.0, -0.3, 126.99, 127.49, 300.0, -300.0, 3e38, math.inf, -math.inf, math.nan, 1e-40]
    count = len(values)
    source, floats, numbers = (Operand(ARENA, at, (1,)) for at in (0, count, 8 * count))
    steps = (Instruction(Code.TO_INT8, 9, 8), Instruction(Code.STORE, 10, 8))
    kernel = ElementKernel((count,), (source, floats, replace(numbers, dtype=INT8)), steps)
    plan = GraphPlan(StepGraph.FORWARD, 0, 16 * count, (), b"", (kernel,))
    given_bits = np.array(values, "<f4").view("<u4")
    given_bits[values.index(math.inf) + 2] |= 0x55  # a NaN may carry anything
    arena = bytearray(given_bits.tobytes() + bytes(12 * count))
    own = np.frombuffer(bytes(arena), np.uint8).copy()
    assert run_in_c(encode(plan), bytearray(), arena) == (0, 0)
    run_ordered(plan, np.zeros(0, np.uint8), own)
    wanted = np.array([0 if math.isnan(v) else round(min(max(v, -128.0), 127.0)) for v in values])
    for found in (bytes(arena), own.tobytes()):
        given = np.frombuffer(found, "<f4")[count : 2 * count]
        np.testing.assert_array_equal(given, wanted)
        assert not np.signbit(given[wanted == 0]).any()
        np.testing.assert_array_equal(np.frombuffer(found, "i1")[8 * count : 9 * count], wanted)
