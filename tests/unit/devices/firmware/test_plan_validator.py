"""The board refuses every plan that could leave its memory or mean two things; Python refuses the same plans before."""

from __future__ import annotations

import zlib
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from support.c_runtime import run_in_c
from support.documents import Document
from support.random_plans import random_plan

from edgebll.kernel.errors import BundleError
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
    ReduceKernel,
)
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, PlanDtype, Port, PortRole, Region, StepGraph

ARENA, STATE, CONSTANTS = Region.ARENA, Region.STATE, Region.CONSTANTS
MOVE = (Instruction(Code.MOVE, 8, 0),)
ELEMENT = ElementKernel((5,), (Operand(ARENA, 0, (1,)), Operand(STATE, 0, (1,))), (Instruction(Code.NEG, 9, 8),))
REDUCE = ReduceKernel(
    (3, 2),
    (Operand(ARENA, 0, (2, 1)), Operand(STATE, 0, (1, 0))),
    (Instruction(Code.MOVE, 0, 8),),
    (Instruction(Code.MOVE, 9, 0),),
    1,
)
GEMM = GemmKernel((2, 3), 4, Operand(ARENA, 0, (4, 0, 1)), Operand(ARENA, 8, (0, 4, 1)), (Operand(STATE, 0, (3, 1)),), MOVE)
CONV = ConvKernel(
    (1, 1, 2, 2, 2), (1, 3, 3), (2, 2), (1, 1), (1, 1), (1, 1), (0, 0),
    Operand(ARENA, 0, (0, 0, 9, 3, 1)), Operand(ARENA, 9, (0, 4, 4, 2, 1)), (Operand(STATE, 0, (0, 0, 4, 2, 1)),), MOVE,
)  # fmt: skip
GATHER = GatherKernel(
    (2, 3), 5, Operand(ARENA, 0, (1, 0), PlanDtype.INT32), Operand(STATE, 0, (3, 1)), Operand(ARENA, 2, (3, 1))
)


def plan_of(*kernels: PlanKernel, **fields: Any) -> GraphPlan:
    plan = GraphPlan(StepGraph.STEP, 64, 80, (Port(PortRole.X, 0, PlanDtype.FLOAT32, 0, 20),), b"\0" * 16, kernels)
    return replace(plan, **fields)


def in_c(data: bytes, state: int = 64, arena: int = 80) -> tuple[int, int]:
    return run_in_c(data, bytearray(state), bytearray(arena), times=0)


def operand(kernel: Any, number: int, **fields: Any) -> Any:
    """The kernel with one operand changed."""
    changed = [replace(o, **fields) if i == number else o for i, o in enumerate(kernel.operands)]
    return replace(kernel, operands=tuple(changed))


def test_the_kernels_from_which_the_faults_are_made_have_none() -> None:
    plan = plan_of(ELEMENT, REDUCE, GEMM, CONV, GATHER)
    check_plan(plan)
    assert in_c(encode(plan)) == (0, 0)


def program(*steps: tuple[Any, ...]) -> tuple[Instruction, ...]:
    return tuple(Instruction(*step) for step in steps)


FAULTS: dict[str, tuple[PlanKernel, PlanFault]] = {
    "an extent of zero": (replace(ELEMENT, extents=(0,)), PlanFault.EXTENT),
    "too much work": (ElementKernel((65535, 65535), (), ()), PlanFault.EXTENT),
    "one element too many": (operand(ELEMENT, 0, offset=16), PlanFault.RANGE),
    "before the region": (operand(ELEMENT, 0, offset=3, strides=(-1,)), PlanFault.RANGE),
    "a stride that reaches out": (operand(ELEMENT, 1, strides=(4,)), PlanFault.RANGE),
    "a stride without measure that goes nowhere": (ElementKernel((1,), (Operand(ARENA, 0, (1 << 27,)),), ()), PlanFault.EXTENT),
    "bytes counted as floats": (operand(ELEMENT, 0, dtype=PlanDtype.INT64, offset=6), PlanFault.RANGE),
    "a constant written": (
        operand(ELEMENT, 1, region=CONSTANTS, strides=(0,)),
        PlanFault.CONSTANT,
    ),
    "constants read behind their end": (operand(ELEMENT, 0, region=CONSTANTS), PlanFault.RANGE),
    "a slot that is not there": (replace(ELEMENT, program=program((Code.NEG, 9, 10))), PlanFault.SLOT),
    "a slot to write that is not there": (replace(ELEMENT, program=program((Code.NEG, 30, 8))), PlanFault.SLOT),
    "a register that nobody wrote": (replace(ELEMENT, program=program((Code.NEG, 9, 3))), PlanFault.SLOT),
    "arithmetic on integers": (operand(ELEMENT, 0, dtype=PlanDtype.INT32), PlanFault.SLOT),
    "load of a register": (replace(ELEMENT, program=program((Code.MOVE, 0, 8), (Code.LOAD, 9, 0))), PlanFault.SLOT),
    "store to a register": (replace(ELEMENT, program=program((Code.STORE, 0, 8))), PlanFault.SLOT),
    "a source that the opcode does not read": (replace(ELEMENT, program=program((Code.NEG, 9, 8, 8))), PlanFault.OPCODE),
    "a view shifted by one": (operand(ELEMENT, 1, region=ARENA, offset=1), PlanFault.OVERLAP),
    "a view turned around": (operand(ELEMENT, 1, region=ARENA, offset=4, strides=(-1,)), PlanFault.OVERLAP),
    "written five times": (operand(ELEMENT, 1, strides=(0,)), PlanFault.OVERLAP),
    "nothing reduced": (replace(REDUCE, kept=2), PlanFault.RANK),
    "nothing reduced beside the lane": (replace(REDUCE, lane_kept=True), PlanFault.RANK),
    "a prologue that writes": (replace(REDUCE, prologue=program((Code.MOVE, 0, 8), (Code.MOVE, 9, 8))), PlanFault.SLOT),
    "a prologue without a result": (replace(REDUCE, prologue=program((Code.MOVE, 1, 8))), PlanFault.SLOT),
    "a register of the prologue": (replace(REDUCE, epilogue=program((Code.MOVE, 9, 1))), PlanFault.SLOT),
    "a result for each term": (operand(REDUCE, 1, strides=(2, 1)), PlanFault.EXTENT),
    "no terms": (replace(GEMM, k=0), PlanFault.EXTENT),
    "A along the last loop": (replace(GEMM, a=replace(GEMM.a, strides=(4, 1, 1))), PlanFault.EXTENT),
    "B too long": (replace(GEMM, b=replace(GEMM.b, offset=9)), PlanFault.RANGE),
    "A of integers": (replace(GEMM, a=replace(GEMM.a, dtype=PlanDtype.INT32)), PlanFault.SLOT),
    "the product over its factor": (operand(GEMM, 0, region=ARENA, offset=7), PlanFault.OVERLAP),
    "X too long": (replace(CONV, inputs=(1, 3, 17)), PlanFault.RANGE),
    "a kernel too long": (replace(CONV, taps=(5, 4)), PlanFault.RANGE),
    "a dilation of zero": (replace(CONV, input_dilation=(1, 0)), PlanFault.EXTENT),
    "a stride without measure": (replace(CONV, stride=(1, 40_000)), PlanFault.EXTENT),
    "padding without measure": (replace(CONV, padding=(0, 1 << 30)), PlanFault.EXTENT),
    "the convolution over its input": (operand(CONV, 0, region=ARENA, offset=8), PlanFault.OVERLAP),
    "indices of floats": (replace(GATHER, index=replace(GATHER.index, dtype=PlanDtype.FLOAT32)), PlanFault.SLOT),
    "an index for each column": (replace(GATHER, index=replace(GATHER.index, strides=(1, 1))), PlanFault.EXTENT),
    "a table without rows": (replace(GATHER, rows=0), PlanFault.EXTENT),
    "a table too long": (replace(GATHER, rows=6), PlanFault.RANGE),
    "rows over their indices": (replace(GATHER, out=replace(GATHER.out, offset=1)), PlanFault.OVERLAP),
    "rows into constants": (replace(GATHER, out=Operand(CONSTANTS, 0, (0, 1))), PlanFault.CONSTANT),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_kernel_is_refused_by_number_and_place(name: str) -> None:
    kernel, fault = FAULTS[name]
    plan = plan_of(ELEMENT, kernel)
    assert in_c(encode(plan))[0] == fault
    assert find_fault(plan) == (fault, 1)
    with pytest.raises(BundleError, match=f"kernel 1 \\({type(kernel).__name__}\\) of the plan"):
        check_plan(plan)


def test_the_place_of_an_error_is_the_byte_where_its_kernel_begins() -> None:
    plan = plan_of(ELEMENT, REDUCE, FAULTS["no terms"][0])
    words = (
        sum(3 + len(k.extents) + sum(2 + len(o.strides) for o in k.operands) + 2 * len(k.program) for k in (ELEMENT, REDUCE))
        + 2
    )
    assert in_c(encode(plan)) == (PlanFault.EXTENT, 28 + 12 + 16 + 2 * words)


def sealed(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def changed(data: bytes, at: int, value: int) -> bytes:
    """The plan with one byte set and its checksum right."""
    return sealed(data[:at] + bytes([value]) + data[at + 1 : -4])


GOOD, PADDED = encode(plan_of(ELEMENT)), encode(plan_of(REDUCE))
LONGER = sealed(GOOD[:8] + (len(GOOD) + 4).to_bytes(4, "little") + GOOD[12:-4] + bytes(4))
HEADS = {
    PlanFault.SHORT: (GOOD[:20], GOOD[:-1], b""),
    PlanFault.MAGIC: (changed(GOOD, 0, 1),),
    PlanFault.VERSION: (changed(GOOD, 4, 0), changed(GOOD, 4, 3), changed(GOOD, 5, 3), changed(GOOD, 6, 3)),
    PlanFault.CRC: (GOOD[:-1] + bytes([GOOD[-1] ^ 1]), GOOD[:30] + bytes([GOOD[30] ^ 1]) + GOOD[31:]),
    PlanFault.LAYOUT: (
        changed(GOOD, 24, 0),
        changed(GOOD, 24, 2),
        *(changed(GOOD, at, 200) for at in (7, 20)),
        changed(GOOD, 20, 2),
    ),
    PlanFault.OPCODE: (
        changed(GOOD, 28, 0),
        changed(GOOD, 28, 8),
        changed(GOOD, 29, 4),
        changed(GOOD, 56, 6),
        changed(GOOD, 57, 1),
    ),
    PlanFault.RANGE: (changed(GOOD, 32, 1), changed(GOOD, 32, 4), changed(GOOD, 36, 21), changed(GOOD, 39, 255)),
}
HEADS[PlanFault.LAYOUT] += (LONGER, changed(PADDED, len(PADDED) - 5, 1))


@pytest.mark.parametrize("fault", HEADS, ids=lambda fault: fault.name)
def test_a_faulty_head_is_refused(fault: PlanFault) -> None:
    for number, data in enumerate(HEADS[fault]):
        assert in_c(data)[0] == fault, number
        with pytest.raises(BundleError):
            check_plan(decode(data))


@pytest.mark.parametrize("sizes", [(60, 80), (64, 72), (0, 80)])
def test_a_plan_that_needs_more_memory_is_refused(sizes: tuple[int, int]) -> None:
    assert in_c(GOOD, *sizes) == (PlanFault.MEMORY, 0)


def test_bytes_behind_a_plan_are_not_its_own() -> None:
    assert in_c(GOOD + b"rest of a buffer") == (0, 0)


def mutated(random: Random) -> bytes:
    """A plan with some words changed and a right checksum."""
    data = bytearray(encode(random_plan(random, kernels=2))[:-4])
    start = 28 + 12 * data[7] + int.from_bytes(data[20:24], "little")
    for _ in range(random.randint(1, 3)):
        at = random.randrange(start // 2, len(data) // 2) * 2 if random.random() < 0.9 else random.randrange(5, 28)
        data[at] = random.choice((0, 1, 2, 3, 255, random.randrange(256)))
    return sealed(bytes(data))


def test_board_and_python_agree_on_changed_plans() -> None:
    """Python is stricter in one thing alone: results that are written twice."""
    verdicts = {(False, False): 0, (True, True): 0}
    for seed in range(1500):
        data = mutated(Random(seed))
        error, _ = in_c(data, 300_000, 20_000)
        try:
            fault = find_fault(decode(data))
        except BundleError:
            assert error, seed
            continue
        if fault and fault[0] is PlanFault.OVERLAP and not error:
            continue
        if error == PlanFault.MEMORY:
            continue
        assert bool(error) == bool(fault), (seed, error, fault)
        verdicts[(bool(error), bool(fault))] += 1
    assert min(verdicts.values()) > 100


def test_every_number_has_a_sentence_and_a_row_of_the_page() -> None:
    page = Document("docs/reference/microcontroller-plan.md").text
    for fault in PlanFault:
        assert f"| {fault.value} | {fault.name} |" in page
