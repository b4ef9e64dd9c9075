"""What boards check when they load a plan, checked in Python. A plan that passes runs on every board."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.plan_faults import SENTENCES, PlanFault, PlanFaultError, demand
from edgebll.kernel.microcontroller.plan_format import RANKS
from edgebll.kernel.microcontroller.plan_kernels import (
    SHORT_INTEGERS,
    ConvKernel,
    ElementKernel,
    GatherKernel,
    GemmKernel,
    GraphPlan,
    PlanKernel,
    ReduceKernel,
)
from edgebll.kernel.microcontroller.plan_parts import (
    FIRST_INT8_TERMS_TOO_MANY,
    FIRST_STRIDE_TOO_LARGE,
    FIRST_WORK_TOO_LARGE,
    MAX_INSTRUCTIONS,
    MAX_OPERANDS,
    REGISTERS,
    Code,
    Instruction,
    Operand,
    PlanDtype,
    Region,
)

Span = tuple[int, int]


def check_plan(plan: GraphPlan) -> None:
    """Refuse a plan that a board would refuse, or whose result would depend on how a board runs it.

    Args:
        plan: as built or decoded.

    Raises:
        BundleError: names the kernel and what is wrong with it.
    """
    found = find_fault(plan)
    if found:
        fault, number = found
        place = "the head of the plan" if number < 0 else f"kernel {number} ({type(plan.kernels[number]).__name__}) of the plan"
        raise BundleError(f"{place}: {SENTENCES[fault]}; that is a fault of what wrote the plan")


def find_fault(plan: GraphPlan) -> tuple[PlanFault, int] | None:
    """The first fault of a plan and the number of its kernel, -1 before the first; None where there is none.

    Args:
        plan: as built or decoded.
    """
    if max(plan.state_bytes, plan.arena_bytes) >> 31:
        return PlanFault.MEMORY, -1
    for port in plan.ports:
        if port.dtype in SHORT_INTEGERS:
            return PlanFault.OPCODE, -1
        if port.offset % port.dtype.size or port.offset + port.count * port.dtype.size > plan.arena_bytes:
            return PlanFault.RANGE, -1
    for number, kernel in enumerate(plan.kernels):
        try:
            _check_kernel(plan, kernel)
        except PlanFaultError as error:
            return error.fault, number
    return None


def _check_kernel(plan: GraphPlan, kernel: PlanKernel) -> None:
    low, high = RANKS[kernel.OPCODE]
    demand(low <= len(kernel.extents) <= high and len(kernel.operands) <= MAX_OPERANDS, PlanFault.RANK)
    demand(len(kernel.program) <= MAX_INSTRUCTIONS, PlanFault.RANK)
    work = math.prod(kernel.extents)
    demand(all(extent >= 1 for extent in kernel.extents) and work < FIRST_WORK_TOO_LARGE, PlanFault.EXTENT)
    if isinstance(kernel, GatherKernel):
        _check_gather(plan, kernel)
        return
    spans = [_span(plan, operand, kernel.extents) for operand in kernel.operands]
    factors = _factors(plan, kernel, work)
    for number in sorted(_written(kernel)):
        _check_written(kernel, kernel.extents, number, spans)
        operand = kernel.operands[number]
        for factor, extents in factors:
            demand(_apart(operand, spans[number], factor, _span(plan, factor, extents)), PlanFault.OVERLAP)


def _span(plan: GraphPlan, operand: Operand, extents: Sequence[int]) -> Span:
    """First and last byte of an operand."""
    demand(all(abs(stride) < FIRST_STRIDE_TOO_LARGE for stride in operand.strides), PlanFault.EXTENT)
    ways = [(extent - 1) * stride for extent, stride in zip(extents, operand.strides, strict=True)]
    low, high = operand.offset + sum(min(way, 0) for way in ways), operand.offset + sum(max(way, 0) for way in ways)
    sizes = {Region.ARENA: plan.arena_bytes, Region.STATE: plan.state_bytes, Region.CONSTANTS: len(plan.constants)}
    size = operand.dtype.size
    demand(low >= 0 and high < sizes[operand.region] // size, PlanFault.RANGE)
    return low * size, high * size + size - 1


def _apart(a: Operand, a_span: Span, b: Operand, b_span: Span) -> bool:
    return a.region != b.region or a_span[1] < b_span[0] or b_span[1] < a_span[0]


def _same_view(extents: Sequence[int], a: Operand, b: Operand) -> bool:
    longer = [i for i, extent in enumerate(extents) if extent > 1]
    return (a.region, a.dtype, a.offset) == (b.region, b.dtype, b.offset) and all(a.strides[i] == b.strides[i] for i in longer)


def _check_written(kernel: PlanKernel, extents: Sequence[int], number: int, spans: Sequence[Span]) -> None:
    operand = kernel.operands[number]
    reduced = kernel.reduced if isinstance(kernel, ReduceKernel) else range(0)
    demand(operand.region is not Region.CONSTANTS, PlanFault.CONSTANT)
    longer = [i for i, extent in enumerate(extents) if extent > 1]
    demand(all(operand.strides[i] != 0 for i in longer if i not in reduced), PlanFault.OVERLAP)
    demand(_distinct([(extents[i], abs(operand.strides[i])) for i in longer if i not in reduced]), PlanFault.OVERLAP)
    for other, (there, span) in enumerate(zip(kernel.operands, spans, strict=True)):
        if other != number and not _apart(operand, spans[number], there, span):
            demand(not isinstance(kernel, GatherKernel) and _same_view(extents, operand, there), PlanFault.OVERLAP)


def _distinct(loops: list[tuple[int, int]]) -> bool:
    """Whether no element is reached by two indices; `loops` are extents with sizes of strides."""
    reach = 0
    for extent, stride in sorted(loops, key=lambda loop: loop[1]):
        if stride <= reach:
            break
        reach += (extent - 1) * stride
    else:
        return True
    places = np.zeros(1, np.int64)
    for extent, stride in loops:
        places = (places[:, None] + np.arange(extent) * stride).ravel()
    return len(np.unique(places)) == len(places)


def _written(kernel: PlanKernel) -> set[int]:
    """Numbers of the operands that the program writes, which is checked on the way."""
    given = set() if isinstance(kernel, ElementKernel) else {0}
    if not isinstance(kernel, ReduceKernel):
        return set(_follow(kernel, kernel.program, given))
    demand(len(kernel.reduced) >= 1 and kernel.kept >= 0, PlanFault.RANK)
    registers: set[int] = set()
    demand(not set(_follow(kernel, kernel.prologue, registers)) and 0 in registers, PlanFault.SLOT)
    written = set(_follow(kernel, kernel.epilogue, given))
    named = {slot - REGISTERS for step in kernel.epilogue for slot in (step.d, *step.sources) if slot >= REGISTERS}
    moving = [i for i in kernel.reduced if kernel.extents[i] > 1]
    demand(all(kernel.operands[number].strides[i] == 0 for number in named for i in moving), PlanFault.EXTENT)
    return written


def _follow(kernel: PlanKernel, program: Sequence[Instruction], registers: set[int]) -> Iterator[int]:
    def check(slot: int, any_dtype: bool) -> None:
        number = slot - REGISTERS
        if number < 0:
            demand(slot in registers and not any_dtype, PlanFault.SLOT)
        else:
            demand(number < len(kernel.operands), PlanFault.SLOT)
            demand(any_dtype or kernel.operands[number].dtype is PlanDtype.FLOAT32, PlanFault.SLOT)

    for step in program:
        demand((step.b, step.c)[step.code.sources - 1 :] in ((), (0,), (0, 0)), PlanFault.OPCODE)
        for slot in step.sources:
            check(slot, step.code is Code.LOAD)
        if step.d < REGISTERS:
            demand(step.code is not Code.STORE, PlanFault.SLOT)
            registers.add(step.d)
        else:
            check(step.d, step.code is Code.STORE)
            yield step.d - REGISTERS


def _factors(plan: GraphPlan, kernel: PlanKernel, work: int) -> list[tuple[Operand, tuple[int, ...]]]:
    """A and B of a sum of products with the extents of their loops."""
    if isinstance(kernel, GemmKernel):
        demand(kernel.k >= 1 and work * kernel.k < FIRST_WORK_TOO_LARGE and kernel.a.strides[-2] == 0, PlanFault.EXTENT)
        factors, terms = [(operand, (*kernel.extents, kernel.k)) for operand in (kernel.a, kernel.b)], kernel.k
    elif isinstance(kernel, ConvKernel):
        _check_places(kernel, work)
        n, groups, channels = kernel.extents[:3]
        factors = [(kernel.x, (n, groups, *kernel.inputs)), (kernel.kernel, (groups, channels, kernel.inputs[0], *kernel.taps))]
        terms = kernel.inputs[0] * math.prod(kernel.taps)
    else:
        return []
    for operand, extents in factors:
        _span(plan, operand, extents)
    dtypes = {operand.dtype for operand, _ in factors}
    if dtypes == {PlanDtype.INT8}:
        demand(terms < FIRST_INT8_TERMS_TOO_MANY, PlanFault.EXTENT)
    else:
        demand(PlanDtype.FLOAT32 in dtypes and dtypes - {PlanDtype.FLOAT32} <= SHORT_INTEGERS, PlanFault.SLOT)
    return factors


def _check_places(kernel: ConvKernel, work: int) -> None:
    positive = (*kernel.inputs, *kernel.taps, *kernel.stride, *kernel.dilation, *kernel.input_dilation)
    inputs = math.prod(kernel.extents[:2]) * math.prod(kernel.inputs)
    demand(min(positive) >= 1 and inputs < FIRST_WORK_TOO_LARGE, PlanFault.EXTENT)
    demand(work * kernel.inputs[0] * math.prod(kernel.taps) < FIRST_WORK_TOO_LARGE, PlanFault.EXTENT)
    for axis in (0, 1):
        extents = (kernel.extents[3 + axis], kernel.taps[axis], kernel.inputs[1 + axis])
        for extent, distance in zip(extents, (kernel.stride, kernel.dilation, kernel.input_dilation), strict=True):
            demand(distance[axis] < 1 << 15 and (extent - 1) * distance[axis] < 1 << 29, PlanFault.EXTENT)
        demand(abs(kernel.padding[axis]) < 1 << 29, PlanFault.EXTENT)


def _check_gather(plan: GraphPlan, kernel: GatherKernel) -> None:
    demand(kernel.index.dtype in (PlanDtype.UINT8, PlanDtype.INT32, PlanDtype.INT64), PlanFault.SLOT)
    demand(kernel.table.dtype is kernel.out.dtype is PlanDtype.FLOAT32, PlanFault.SLOT)
    work = kernel.rows * kernel.extents[1]
    demand(0 < work < FIRST_WORK_TOO_LARGE and kernel.index.strides[1] == 0, PlanFault.EXTENT)
    table = (kernel.rows, kernel.extents[1])
    spans = [_span(plan, operand, table if operand is kernel.table else kernel.extents) for operand in kernel.operands]
    _check_written(kernel, *((table, 1) if kernel.scatter else (kernel.extents, 2)), spans)
