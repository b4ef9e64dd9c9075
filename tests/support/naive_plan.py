"""Plans element by element, straight from the specification: the judge of the C runtime. Slow; shares no code with it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from edgebll.kernel.microcontroller.plan_kernels import (
    ConvKernel,
    GatherKernel,
    GemmKernel,
    GraphPlan,
    PlanKernel,
    ReduceKernel,
    factors_of,
)
from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, PlanDtype, Region

F = np.float32
NUMPY = ("<f4", "u1", "<i4", "<i8", "i1", "<i2")


def bits(text: str) -> np.float32:
    return np.frombuffer(bytes.fromhex(text)[::-1], "<f4")[0]


def naive_exp(x: np.float32) -> np.float32:
    if np.isnan(x):
        return x
    if x > bits("42B17217"):
        return F(np.inf)
    if x < bits("C2AEAC4F"):
        return F(0)
    t = x * bits("3FB8AA3B")
    n = int(t + (F(-0.5) if t < 0 else F(0.5)))
    r = x - F(n) * bits("3F318000")
    r = r - F(n) * bits("B95E8083")
    p = bits("39500D01")
    for text in ("3AB60B61", "3C088889", "3D2AAAAB", "3E2AAAAB", "3F000000", "3F800000", "3F800000"):
        p = p * r + bits(text)
    half = n // 2
    return p * F(2.0**half) * F(2.0 ** (n - half))


def naive_log(x: np.float32) -> np.float32:
    if not x >= 0:
        return F(np.nan)
    if x == 0 or np.isinf(x):
        return F(-np.inf) if x == 0 else x
    e = 0
    if x < F(2.0**-126):
        x, e = x * F(2.0**23), -23
    b = int(x.view(np.int32))
    k = (b - 0x3F3504F3) // 2**23
    m = np.int32(b - k * 2**23).view(F)
    f = m - F(1)
    s = f / (f + F(2))
    z = s * s
    p = bits("3DE38E39")
    for text in ("3E124925", "3E4CCCCD", "3EAAAAAB"):
        p = p * z + bits(text)
    u = s + s * (p * z)
    u = u + u
    return (F(e + k) * bits("B95E8083") + u) + F(e + k) * bits("3F318000")


def nearest_integer(x: np.float32, bits: int) -> int:
    return 0 if np.isnan(x) else round(min(max(float(x), -(2.0 ** (bits - 1))), 2.0 ** (bits - 1) - 1))


CODES: dict[Code, Callable[..., np.float32]] = {
    Code.MOVE: lambda a: a,
    Code.ADD: lambda a, b: a + b,
    Code.SUB: lambda a, b: a - b,
    Code.MUL: lambda a, b: a * b,
    Code.DIV: lambda a, b: a / b,
    Code.MAX: lambda a, b: b if a < b else a,
    Code.MIN: lambda a, b: b if b < a else a,
    Code.GREATER: lambda a, b: F(a > b),
    Code.LESS: lambda a, b: F(a < b),
    Code.EQUAL: lambda a, b: F(a == b),
    Code.NEG: lambda a: -a,
    Code.ABS: np.abs,
    Code.FLOOR: np.floor,
    Code.SQRT: np.sqrt,
    Code.RECIP: lambda a: F(1) / a,
    Code.EXP: naive_exp,
    Code.LOG: naive_log,
    Code.RELU: lambda a: F(0) if a < 0 else a,
    Code.GATE: lambda a, b: a if b > 0 else F(0),
    Code.SELECT: lambda a, b, c: b if a != 0 else c,
    Code.MULADD: lambda a, b, c: a * b + c,
    Code.MULSUB: lambda a, b, c: c - a * b,
    Code.TO_INT8: lambda a: F(nearest_integer(a, 8)),
}


class NaivePlan:
    """Runs a plan on memory of its own.

    Args:
        plan: whose constants are used.
        state: bytes of the state, changed in place.
        arena: bytes of the arena, likewise.
    """

    def __init__(self, plan: GraphPlan, state: bytearray, arena: bytearray) -> None:
        self.plan = plan
        self.memory = {Region.ARENA: arena, Region.STATE: state, Region.CONSTANTS: bytearray(plan.constants)}

    def run(self) -> None:
        with np.errstate(all="ignore"):
            for kernel in self.plan.kernels:
                self._run(kernel)

    def _whole(self, operand: Operand) -> np.ndarray:
        data, size = self.memory[operand.region], operand.dtype.size
        return np.frombuffer(memoryview(data)[: len(data) // size * size], NUMPY[operand.dtype])

    def get(self, operand: Operand, index: Sequence[int]) -> np.float32:
        return self._whole(operand)[operand.offset + sum(i * s for i, s in zip(index, operand.strides, strict=True))]

    def put(self, operand: Operand, index: Sequence[int], value: object) -> None:
        self._whole(operand)[operand.offset + sum(i * s for i, s in zip(index, operand.strides, strict=True))] = value

    def _program(
        self, kernel: PlanKernel, program: Sequence[Instruction], index: Sequence[int], first: np.float32
    ) -> np.float32:
        registers = [first] + [F(0)] * 7
        for step in program:
            where = kernel.operands[step.d - 8] if step.d >= 8 else None
            if step.code is Code.LOAD:
                raw = self.get(kernel.operands[step.a - 8], index)
                value = F(int(raw.astype(np.int32))) if raw.dtype != F else raw
            else:
                sources = [registers[s] if s < 8 else self.get(kernel.operands[s - 8], index) for s in step.sources]
                value = sources[0] if step.code is Code.STORE else CODES[step.code](*sources)
            if where is None:
                registers[step.d] = value
            elif step.code is Code.STORE and where.dtype in (PlanDtype.INT8, PlanDtype.INT16):
                self.put(where, index, nearest_integer(value, 8 * where.dtype.size))
            elif (step.code is Code.STORE and where.dtype.size != 4) or where.dtype.name == "INT32":
                low, high = (0.0, 255.0) if where.dtype.size == 1 else (-2147483648.0, 2147483520.0)
                self.put(where, index, 0 if np.isnan(value) else int(min(max(float(value), low), high)))
            else:
                self.put(where, index, value)
        return registers[0]

    def _run(self, kernel: PlanKernel) -> None:
        if isinstance(kernel, ReduceKernel):
            self._reduce(kernel)
            return
        if isinstance(kernel, GatherKernel):
            self._gather(kernel)
            return
        for index in itertools.product(*map(range, kernel.extents)):
            total, add = F(0), integer_sum if {f.dtype for f in factors_of(kernel)} == {PlanDtype.INT8} else ordered_sum
            if isinstance(kernel, GemmKernel):
                terms = (product(self.get(kernel.a, (*index, k)), self.get(kernel.b, (*index, k))) for k in range(kernel.k))
                total = add(terms)
            elif isinstance(kernel, ConvKernel):
                total = add(self._taps(kernel, index))
            self._program(kernel, kernel.program, index, total)

    def _taps(self, kernel: ConvKernel, index: tuple[int, ...]) -> list[Any]:
        n, group, channel, *out = index
        found = []
        for i, *tap in itertools.product(range(kernel.inputs[0]), *map(range, kernel.taps)):
            at = [out[a] * kernel.stride[a] + tap[a] * kernel.dilation[a] - kernel.padding[a] for a in (0, 1)]
            if any(p % d for p, d in zip(at, kernel.input_dilation, strict=True)):
                continue
            place = [p // d for p, d in zip(at, kernel.input_dilation, strict=True)]
            if all(0 <= p < extent for p, extent in zip(place, kernel.inputs[1:], strict=True)):
                factors = self.get(kernel.x, (n, group, i, *place)), self.get(kernel.kernel, (group, channel, i, *tap))
                found.append(product(*factors))
        return found

    def _reduce(self, kernel: ReduceKernel) -> None:
        for kept in itertools.product(*(range(1 if i in kernel.reduced else e) for i, e in enumerate(kernel.extents))):
            total = F(-np.inf) if kernel.maximum else F(-0.0)
            for reduced in itertools.product(*(range(kernel.extents[i]) for i in kernel.reduced)):
                index = list(kept)
                index[kernel.reduced.start : kernel.reduced.stop] = reduced
                value = self._program(kernel, kernel.prologue, index, F(0))
                total = (value if total < value else total) if kernel.maximum else total + value
            self._program(kernel, kernel.epilogue, kept, total)

    def _gather(self, kernel: GatherKernel) -> None:
        for r, c in itertools.product(*map(range, kernel.extents)):
            row = min(max(int(self.get(kernel.index, (r, 0)).astype(np.int32)), 0), kernel.rows - 1)
            if kernel.scatter:
                self.put(kernel.table, (row, c), self.get(kernel.table, (row, c)) + self.get(kernel.out, (r, c)))
            else:
                self.put(kernel.out, (r, c), self.get(kernel.table, (row, c)))


def product(a: Any, b: Any) -> Any:
    return int(a) * int(b) if a.dtype == b.dtype == np.int8 else F(a) * F(b)


def integer_sum(terms: Iterable[int]) -> np.float32:
    return F(sum(terms))


def ordered_sum(terms: object) -> np.float32:
    total = F(-0.0)
    for term in terms:  # type: ignore[attr-defined]
        total = total + term
    return total
