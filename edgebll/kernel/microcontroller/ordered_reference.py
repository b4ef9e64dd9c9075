"""Runs a plan in numpy with the sums in the C runtime's order: both give the same bits, and neither knows the other.

Sums go on term by term, in loops of Python over the terms, each over all results at once. So no library's blocked or pairwise
sums and no fused multiply-add can get in.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import product
from typing import Any

import numpy as np

from edgebll.kernel.microcontroller.ordered_memory import Bytes, PlanMemory
from edgebll.kernel.microcontroller.plan_kernels import (
    ConvKernel,
    ElementKernel,
    GatherKernel,
    GemmKernel,
    GraphPlan,
    ReduceKernel,
)

Numbers = np.ndarray[Any, Any]
_NOTHING, _LOWEST = np.float32(-0.0), np.float32(-np.inf)


def run_ordered(plan: GraphPlan, state: Bytes, arena: Bytes) -> None:
    """Run a plan once.

    Args:
        plan: a decoded plan.
        state: the state region, uint8, `plan.state_bytes` long; changed.
        arena: the arena, uint8, `plan.arena_bytes` long, with the inputs at their ports; changed.
    """
    memory = PlanMemory(arena, state, plan.constants)
    with np.errstate(all="ignore"):
        for kernel in plan.kernels:
            _run(kernel, memory)


@singledispatch
def _run(kernel: Any, memory: PlanMemory) -> None:
    raise TypeError(f"{type(kernel).__name__} is no kernel of a plan")


@_run.register
def _element(kernel: ElementKernel, memory: PlanMemory) -> None:
    memory.run(kernel.program, kernel.operands, kernel.extents, {})


@_run.register
def _reduce(kernel: ReduceKernel, memory: PlanMemory) -> None:
    terms = memory.run(kernel.prologue, kernel.operands, kernel.extents, {})[0]
    over = list(kernel.reduced)
    kept = [axis for axis in range(len(kernel.extents)) if axis not in over]
    shape = tuple(kernel.extents[axis] for axis in kept)
    rows = terms.transpose([*over, *kept]).reshape(-1, *shape)
    total = np.full(shape, _LOWEST if kernel.maximum else _NOTHING, np.float32)
    for row in rows:
        total = np.where(total < row, row, total) if kernel.maximum else total + row
    once = [1 if axis in over else extent for axis, extent in enumerate(kernel.extents)]
    memory.run(kernel.epilogue, kernel.operands, once, {0: total.reshape(once)})


@_run.register
def _gemm(kernel: GemmKernel, memory: PlanMemory) -> None:
    extents = (*kernel.extents, kernel.k)
    a, b, zero = _factors(memory.view(kernel.a, extents), memory.view(kernel.b, extents))
    total: Any = np.full(kernel.extents, zero)
    for k in range(kernel.k):
        total = total + a[..., k] * b[..., k]
    memory.run(kernel.program, kernel.operands, kernel.extents, {0: total.astype(np.float32)})


@_run.register
def _conv(kernel: ConvKernel, memory: PlanMemory) -> None:
    batch, groups, outputs, *space = kernel.extents
    taps = (groups, outputs, kernel.inputs[0], *kernel.taps)
    found = memory.view(kernel.x, (batch, groups, *kernel.inputs)), memory.view(kernel.kernel, taps)
    x, weight, zero = _factors(*found)
    total: Any = np.full(kernel.extents, zero)
    for i, *tap in product(range(kernel.inputs[0]), *map(range, kernel.taps)):
        spans = [_span(kernel, axis, place, space[axis]) for axis, place in enumerate(tap)]
        if all(span is not None for span in spans):
            (to_row, from_row), (to_column, from_column) = (span for span in spans if span is not None)
            part = x[:, :, i, from_row, from_column][:, :, None] * weight[None, :, :, i, tap[0], tap[1], None, None]
            total[..., to_row, to_column] = total[..., to_row, to_column] + part
    memory.run(kernel.program, kernel.operands, kernel.extents, {0: total.astype(np.float32)})


def _factors(first: Numbers, second: Numbers) -> tuple[Numbers, Numbers, Any]:
    """Both in what their products are summed in, and the zero that a sum begins with."""
    both = first.dtype == second.dtype == np.int8
    kind, zero = (np.int32, np.int32(0)) if both else (np.float32, _NOTHING)
    return first.astype(kind), second.astype(kind), zero


def _span(kernel: ConvKernel, axis: int, tap: int, count: int) -> tuple[slice, slice] | None:
    """Along an axis, the outputs that a tap counts for, and the inputs it takes there; both are evenly spaced."""
    at = np.arange(count) * kernel.stride[axis] + tap * kernel.dilation[axis] - kernel.padding[axis]
    gap = kernel.input_dilation[axis]
    outputs = np.nonzero((at % gap == 0) & (at >= 0) & (at // gap < kernel.inputs[1 + axis]))[0]
    if not outputs.size:
        return None
    inputs = at[outputs] // gap
    return _evenly(outputs), _evenly(inputs)


def _evenly(places: np.ndarray[Any, Any]) -> slice:
    step = int(places[1] - places[0]) if places.size > 1 else 1
    return slice(int(places[0]), int(places[-1]) + 1, step)


@_run.register
def _gather(kernel: GatherKernel, memory: PlanMemory) -> None:
    count, columns = kernel.extents
    index = memory.view(kernel.index, (count, columns))[:, 0]
    chosen = np.clip(index.astype(np.int32), 0, kernel.rows - 1)
    table = memory.view(kernel.table, (kernel.rows, columns))
    rows = memory.view(kernel.out, (count, columns))
    if not kernel.scatter:
        rows[...] = table[chosen]
        return
    for row, place in enumerate(chosen):
        table[place] = table[place] + rows[row]
