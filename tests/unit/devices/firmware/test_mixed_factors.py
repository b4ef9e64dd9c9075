"""Products of a float32 and an int8 or int16, and numbers of int16: what C and numpy compute, and what boards refuse."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from support.c_runtime import run_in_c

from edgebll.kernel.microcontroller.ordered_reference import run_ordered
from edgebll.kernel.microcontroller.plan_check import check_plan, find_fault
from edgebll.kernel.microcontroller.plan_faults import PlanFault
from edgebll.kernel.microcontroller.plan_format import decode, encode
from edgebll.kernel.microcontroller.plan_kernels import (
    ConvKernel,
    ElementKernel,
    GatherKernel,
    GemmKernel,
    GraphPlan,
    PlanKernel,
)
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, PlanDtype, Port, PortRole, Region, StepGraph
from edgebll.kernel.spec.plan_versions import INT8_VERSION

ARENA, STATE = Region.ARENA, Region.STATE
FLOAT32, INT8, INT16 = PlanDtype.FLOAT32, PlanDtype.INT8, PlanDtype.INT16
NUMPY = {FLOAT32: "<f4", INT8: "i1", INT16: "<i2"}
MOVE = (Instruction(Code.MOVE, 8, 0),)
#: Bytes into the arena at which the second factor lies.
SECOND = 4096
MIXED = [(INT8, FLOAT32), (FLOAT32, INT8), (INT16, FLOAT32), (FLOAT32, INT16)]


def numbers(dtype: PlanDtype, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Random numbers, of integers all that there are."""
    rng = np.random.default_rng(seed)
    if dtype is FLOAT32:
        return rng.standard_normal(shape).astype(np.float32)
    limits = np.iinfo(NUMPY[dtype])
    return rng.integers(limits.min, limits.max + 1, shape).astype(NUMPY[dtype])


def results(kernel: PlanKernel, first: np.ndarray, second: np.ndarray, count: int) -> list[np.ndarray]:
    """What C and the ordered reference leave in the state, from both factors in the arena."""
    plan = GraphPlan(StepGraph.FORWARD, 4 * count, 2 * SECOND, (), b"", (kernel,))
    check_plan(plan)
    assert encode(plan)[4] == INT8_VERSION
    assert decode(encode(plan)) == plan
    arena = bytearray(2 * SECOND)
    arena[: first.nbytes], arena[SECOND : SECOND + second.nbytes] = first.tobytes(), second.tobytes()
    state, own_state = bytearray(4 * count), np.zeros(4 * count, np.uint8)
    run_ordered(plan, own_state, np.frombuffer(arena, np.uint8).copy())
    assert run_in_c(encode(plan), state, arena) == (0, 0)
    return [np.frombuffer(bytes(found), "<u4") for found in (state, own_state)]


def at(byte: int, dtype: PlanDtype, strides: tuple[int, ...]) -> Operand:
    return Operand(ARENA, byte // dtype.size, strides, dtype)


@pytest.mark.parametrize(("rows", "columns", "k"), [(3, 9, 5), (1, 1, 7), (2, 3, 1), (5, 4, 33)])
@pytest.mark.parametrize(("a_dtype", "b_dtype"), MIXED, ids=lambda dtype: dtype.name)
def test_matrix_products_are_sums_of_floats_in_order(
    a_dtype: PlanDtype, b_dtype: PlanDtype, rows: int, columns: int, k: int
) -> None:
    a, b = numbers(a_dtype, (rows, k), 1), numbers(b_dtype, (k, columns), 2)
    factors = at(0, a_dtype, (k, 0, 1)), at(SECOND, b_dtype, (0, 1, columns))
    kernel = GemmKernel((rows, columns), k, *factors, (Operand(STATE, 0, (columns, 1)),), MOVE)
    wanted = np.full((rows, columns), -0.0, np.float32)
    for m, n, term in itertools.product(range(rows), range(columns), range(k)):
        wanted[m, n] = wanted[m, n] + np.float32(a[m, term]) * np.float32(b[term, n])
    for found in results(kernel, a, b, rows * columns):
        np.testing.assert_array_equal(found, wanted.ravel().view("<u4"))


@pytest.mark.parametrize(("x_dtype", "w_dtype"), MIXED, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("columns", [False, True])
def test_convolutions_are_sums_of_floats_in_order(x_dtype: PlanDtype, w_dtype: PlanDtype, columns: bool) -> None:
    channels, outputs, size, out = 2, 5, 6, 5
    x, w = numbers(x_dtype, (channels, size, size), 3), numbers(w_dtype, (outputs, channels, 3, 3), 4)
    factors = at(0, x_dtype, (0, 0, size * size, size, 1)), at(SECOND, w_dtype, (0, channels * 9, 9, 3, 1))
    ones, result = (1, 1), Operand(STATE, 0, (0, 0, out * out, out, 1))
    kernel = ConvKernel(
        (1, 1, outputs, out, out), (channels, size, size), (3, 3), ones, ones, ones, ones, *factors, (result,), MOVE, columns
    )
    wanted = np.full((outputs, out, out), -0.0, np.float32)
    for o, row, column, i, ky, kx in itertools.product(*map(range, (outputs, out, out, channels, 3, 3))):
        if 0 <= row + ky - 1 < size and 0 <= column + kx - 1 < size:
            product = np.float32(x[i, row + ky - 1, column + kx - 1]) * np.float32(w[o, i, ky, kx])
            wanted[o, row, column] = wanted[o, row, column] + product
    for found in results(kernel, x, w, outputs * out * out):
        np.testing.assert_array_equal(found, wanted.ravel().view("<u4"))


def test_int16_is_stored_rounded_halves_to_even_cut_and_without_nan_and_loaded_exactly() -> None:
    halves = [whole + 0.5 for whole in (*range(-32770, -32760), *range(-3, 3), *range(32760, 32770))]
    values = [*halves, 0.49999997, -0.3, 32766.99, 70000.0, -70000.0, 3e38, math.inf, -math.inf, math.nan, 1e-40]
    count = len(values)
    source, there = Operand(ARENA, 0, (1,)), Operand(ARENA, SECOND // 2, (1,), INT16)
    steps = (Instruction(Code.STORE, 9, 8), Instruction(Code.LOAD, 10, 9))
    kernel = ElementKernel((count,), (source, there, Operand(STATE, 0, (1,))), steps)
    wanted = [0 if math.isnan(v) else round(min(max(v, -32768.0), 32767.0)) for v in values]
    for found in results(kernel, np.array(values, "<f4"), np.zeros(0), count):
        np.testing.assert_array_equal(found.view("<f4"), np.array(wanted, np.float32))


def product_of(a: PlanDtype, b: PlanDtype) -> GemmKernel:
    return GemmKernel((1,), 4, at(0, a, (0, 1)), at(SECOND, b, (0, 1)), (Operand(STATE, 0, (1,)),), MOVE)


def rows_by(dtype: PlanDtype) -> GatherKernel:
    return GatherKernel((4, 1), 2, Operand(ARENA, 0, (1, 0), dtype), Operand(ARENA, 100, (1, 1)), Operand(ARENA, 200, (1, 1)))


FAULTS: dict[str, tuple[PlanKernel, PlanFault]] = {
    "two factors of int16": (product_of(INT16, INT16), PlanFault.SLOT),
    "int8 by int16": (product_of(INT8, INT16), PlanFault.SLOT),
    "int32 by float": (product_of(PlanDtype.INT32, FLOAT32), PlanFault.SLOT),
    "float by bytes without a sign": (product_of(FLOAT32, PlanDtype.UINT8), PlanFault.SLOT),
    "rows chosen by int8": (rows_by(INT8), PlanFault.SLOT),
    "rows chosen by int16": (rows_by(INT16), PlanFault.SLOT),
    "a factor outside": (replace(product_of(FLOAT32, INT16), b=Operand(ARENA, SECOND - 3, (0, 1), INT16)), PlanFault.RANGE),
    "an int16 that was not loaded": (
        ElementKernel((4,), (Operand(ARENA, 0, (1,), INT16), Operand(STATE, 0, (1,))), (Instruction(Code.MOVE, 9, 8),)),
        PlanFault.SLOT,
    ),
    "the result over a factor": (
        replace(product_of(INT16, FLOAT32), operands=(Operand(ARENA, 1, (1,)),)),
        PlanFault.OVERLAP,
    ),
}


def plan_of(kernel: PlanKernel) -> GraphPlan:
    return GraphPlan(StepGraph.FORWARD, 64, 2 * SECOND, (), b"", (kernel,))


def in_c(plan: GraphPlan, *flags: str) -> int:
    return run_in_c(encode(plan), bytearray(64), bytearray(plan.arena_bytes), flags=flags)[0]


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_kernel_is_refused_by_number(name: str) -> None:
    kernel, fault = FAULTS[name]
    assert in_c(plan_of(kernel)) == fault
    assert find_fault(plan_of(kernel)) == (fault, 0)


def test_the_last_element_of_memory_is_inside() -> None:
    kernel = replace(product_of(FLOAT32, INT16), b=Operand(ARENA, SECOND - 4, (0, 1), INT16))
    assert find_fault(plan_of(kernel)) is None
    assert in_c(plan_of(kernel)) == 0


def test_no_input_or_output_is_int16_and_a_runtime_without_integers_says_so() -> None:
    plan = plan_of(product_of(INT16, FLOAT32))
    assert in_c(plan, "-DEDGEBLL_WITHOUT_INT8") == PlanFault.INT8
    faulty = replace(plan, ports=(Port(PortRole.X, 0, INT16, 0, 20),))
    assert in_c(faulty) == PlanFault.OPCODE
    assert find_fault(faulty) == (PlanFault.OPCODE, -1)
