"""Plans with kernels of all kinds: random shapes, layouts and programs, in which every operand has a place of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from random import Random

from edgebll.kernel.microcontroller.plan_kernels import (
    ConvKernel,
    ElementKernel,
    GatherKernel,
    GemmKernel,
    GraphPlan,
    PlanKernel,
    ReduceKernel,
)
from edgebll.kernel.microcontroller.plan_parts import (
    REGISTERS,
    Code,
    Instruction,
    Operand,
    PlanDtype,
    Port,
    PortRole,
    Region,
    StepGraph,
    operand_slot,
)

CONSTANTS = 64


@dataclass
class Memory:
    """Hands out places in arena and state, each once."""

    random: Random
    bytes: dict[Region, int] = field(default_factory=lambda: {Region.ARENA: 0, Region.STATE: 0})

    def operand(self, extents: tuple[int, ...], *, broadcast: bool = False, dtype: PlanDtype = PlanDtype.FLOAT32) -> Operand:
        """A new operand; `broadcast` lets some loops not move it, or takes a constant."""
        random = self.random
        if broadcast and dtype is PlanDtype.FLOAT32 and random.random() < 0.2:
            return Operand(Region.CONSTANTS, random.randrange(CONSTANTS), (0,) * len(extents))
        strides, step = [0] * len(extents), random.choice((1, 1, 1, 2, 3))
        for axis in (
            random.sample(range(len(extents)), len(extents)) if random.random() < 0.5 else reversed(range(len(extents)))
        ):
            if broadcast and random.random() < 0.25:
                continue
            strides[axis] = step if random.random() < 0.8 else -step
            step *= extents[axis]
        low = sum(min((extent - 1) * stride, 0) for extent, stride in zip(extents, strides, strict=True))
        high = sum(max((extent - 1) * stride, 0) for extent, stride in zip(extents, strides, strict=True))
        region = random.choice((Region.ARENA, Region.STATE))
        start = -(-self.bytes[region] // dtype.size)
        self.bytes[region] = (start + high - low + 1) * dtype.size
        return Operand(region, start - low, tuple(strides), dtype)


def random_program(random: Random, operands: int, results: int, registers: set[int]) -> tuple[Instruction, ...]:
    """Instructions over float32 operands, of which the last `results` are written, each at least once."""
    program = []
    codes = [code for code in Code if code not in (Code.LOAD, Code.STORE)]
    for step in range(random.randrange(4) + results):
        code = random.choice(codes)
        slots = [*registers, *(operand_slot(i) for i in range(operands))]
        sources = [random.choice(slots) for _ in range(code.sources)]
        target = random.randrange(REGISTERS)
        if step < results:
            target = operand_slot(operands - 1 - step)
        program.append(Instruction(code, target, *sources))
        registers |= {target} if target < REGISTERS else set()
    return tuple(program)


def _extents(random: Random, rank: int, largest: int = 4) -> tuple[int, ...]:
    return tuple(random.randint(1, largest) for _ in range(rank))


def random_element(random: Random, memory: Memory) -> ElementKernel:
    extents = _extents(random, random.randint(1, 6), 3)
    if random.random() < 0.4:
        extents = (*extents[:2], random.randint(30, 70))
    sources = tuple(memory.operand(extents, broadcast=True) for _ in range(random.randint(1, 4)))
    result = memory.operand(extents)
    program = random_program(random, len(sources) + 1, 1, set())
    typed, dtype = memory.operand(extents, dtype=random.choice(list(PlanDtype))), random.choice(list(PlanDtype))
    stored = memory.operand(extents, dtype=dtype)
    slots = operand_slot(len(sources) + 1), operand_slot(len(sources) + 2)
    edges = (Instruction(Code.LOAD, 3, slots[0]), Instruction(Code.STORE, slots[1], 3))
    return ElementKernel(extents, (*sources, result, typed, stored), program + edges)


def random_reduce(random: Random, memory: Memory) -> ReduceKernel:
    lane = random.random() < 0.5
    extents = _extents(random, random.randint(1 + lane, 6), 3)
    if random.random() < 0.4:
        extents = (*extents[-2:-1], random.randint(30, 70)) if lane or len(extents) > 1 else (random.randint(30, 70),)
    kept = random.randint(0, len(extents) - 1 - lane)
    reduced = range(kept, len(extents) - lane)
    short = tuple(1 if i in reduced else extent for i, extent in enumerate(extents))
    result = memory.operand(short)
    result = Operand(result.region, result.offset, tuple(0 if i in reduced else s for i, s in enumerate(result.strides)))
    sources = tuple(memory.operand(extents, broadcast=True) for _ in range(random.randint(1, 3)))
    first = Instruction(Code.MOVE, 0, operand_slot(0))
    prologue = (first, *random_program(random, len(sources), 0, {0})) if random.random() < 0.7 else (first,)
    epilogue = (Instruction(random.choice((Code.MOVE, Code.SQRT, Code.LOG)), operand_slot(len(sources)), 0),)
    return ReduceKernel(extents, (*sources, result), prologue, epilogue, kept, random.random() < 0.3, lane)


def _descent(random: Random, memory: Memory, extents: tuple[int, ...]) -> tuple[tuple[Operand, ...], tuple[Instruction, ...]]:
    """Gradient descent, in one pass where weights lie in line: with weight decay, momentum and Nesterov's or without."""
    w, m, rate, decay, momentum = (operand_slot(i) for i in range(5))
    vectors = tuple(memory.operand(extents) for _ in range(2))
    scales = tuple(Operand(Region.CONSTANTS, random.randrange(CONSTANTS), (0,) * len(extents)) for _ in range(3))

    def turned(code: Code, d: int, a: int, b: int, c: int) -> Instruction:
        return Instruction(code, d, a, b, c) if random.random() < 0.5 else Instruction(code, d, b, a, c)

    steps = [turned(Code.MULADD, 0, w, decay, 0)] if random.random() < 0.5 else []
    kind = random.randrange(3)
    steps += [turned(Code.MULADD, m, m, momentum, 0)] * (kind > 0)
    steps += [turned(Code.MULADD, 0, m, momentum, 0)] * (kind > 1)
    steps.append(turned(Code.MULSUB, w, rate, m if kind == 1 else 0, w))
    if random.random() < 0.2:
        steps.append(Instruction(Code.NEG, m, w))
    return (*vectors, *scales), tuple(steps)


def _update(random: Random, memory: Memory, extents: tuple[int, ...]) -> tuple[tuple[Operand, ...], tuple[Instruction, ...]]:
    """Operands and program behind a sum: a plain store, an update in place, or anything."""
    if random.random() < 0.4:
        return _descent(random, memory, extents)
    result = memory.operand(extents)
    plain = {0: Code.MOVE, 1: Code.SUB, 2: Code.ADD}.get(random.randrange(4))
    if plain is not None:
        sources = (0,) if plain is Code.MOVE else (operand_slot(0), 0)
        return (result,), (Instruction(plain, operand_slot(0), *sources),)
    others = tuple(memory.operand(extents, broadcast=True) for _ in range(2))
    return (*others, result), random_program(random, 3, 1, {0})


def _factors(random: Random, memory: Memory, a: tuple[int, ...], b: tuple[int, ...], same: float) -> tuple[Operand, Operand]:
    """Two float32, two int8, or one float32 and an integer; the second may repeat elements, the first too where `same` is 1."""
    kinds = [random.choice((PlanDtype.FLOAT32, PlanDtype.INT8, PlanDtype.INT16)), PlanDtype.FLOAT32]
    if random.random() < 0.25:
        kinds = [PlanDtype.INT8] * 2
    random.shuffle(kinds)
    first = memory.operand(a, broadcast=same == 1, dtype=kinds[0])
    second = memory.operand(b, broadcast=random.random() < same, dtype=kinds[1])
    if kinds[1] is not PlanDtype.FLOAT32 and random.random() < 0.2:
        second = Operand(Region.CONSTANTS, random.randrange(2 * CONSTANTS), (0,) * len(b), kinds[1])
    return first, second


def random_gemm(random: Random, memory: Memory) -> GemmKernel:
    extents = _extents(random, random.randint(1, 5), 4 if random.random() < 0.5 else 2)
    if random.random() < 0.4:
        extents = (*extents[:1], random.randint(4, 70))
    k = random.choice((1, 1, 2, 7, 40))
    a, b = _factors(random, memory, (*extents[:-1], 1, k), (*extents, k), 1)
    a = Operand(a.region, a.offset, (*a.strides[:-2], 0, a.strides[-1]), a.dtype)
    return GemmKernel(extents, k, a, b, *_update(random, memory, extents))


def random_conv(random: Random, memory: Memory) -> ConvKernel:
    def pair(low: int, high: int) -> tuple[int, int]:
        return random.randint(low, high), random.randint(low, high)

    n, groups, channels = random.randint(1, 2), random.randint(1, 2), random.choice((1, 2, 4, 5, 9))
    extents = (
        n,
        groups,
        channels,
        random.randint(1, 4),
        random.choice((1, 3, 7, 40)) if channels < 4 else random.randint(1, 4),
    )
    inputs = (random.randint(1, 3), random.randint(1, 6), random.randint(1, 9))
    taps = pair(1, 4)
    x, kernel = _factors(random, memory, (n, groups, *inputs), (groups, channels, inputs[0], *taps), 0.2)
    geometry = (pair(1, 3), pair(1, 3), pair(1, 3), pair(-2, 5))
    return ConvKernel(extents, inputs, taps, *geometry, x, kernel, *_update(random, memory, extents), random.random() < 0.5)


def random_gather(random: Random, memory: Memory) -> GatherKernel:
    extents, rows = (random.randint(1, 6), random.randint(1, 5)), random.randint(1, 7)
    index = memory.operand((extents[0], 1), dtype=random.choice((PlanDtype.UINT8, PlanDtype.INT32, PlanDtype.INT64)))
    index = Operand(index.region, index.offset, (index.strides[0], 0), index.dtype)
    table, out = memory.operand((rows, extents[1])), memory.operand(extents)
    return GatherKernel(extents, rows, index, table, out, random.random() < 0.5)


MAKERS = (random_element, random_reduce, random_gemm, random_conv, random_gather)


def random_plan(random: Random, kinds: tuple[int, ...] = (0, 1, 2, 3, 4), kernels: int = 5) -> GraphPlan:
    """A plan with no faults."""
    memory = Memory(random)
    made: list[PlanKernel] = [MAKERS[random.choice(kinds)](random, memory) for _ in range(kernels)]
    # A plan of wide words now and then: an offset that 16 bits do not hold.
    if random.random() < 0.2:
        memory.bytes[Region.STATE] = max(memory.bytes[Region.STATE], 4 * 70_000)
        made.append(ElementKernel((3,), (Operand(Region.STATE, 69_000, (2,)),), (Instruction(Code.NEG, 8, 8),)))
    arena = math.ceil(memory.bytes[Region.ARENA] / 8) * 8 + 16
    ports = (Port(PortRole.X, 0, PlanDtype.FLOAT32, 0, 2), Port(PortRole.METRIC, 1, PlanDtype.INT64, arena - 8, 1))
    constants = b"".join(random.randbytes(3) + bytes([random.choice((0x3E, 0x3F, 0xBF))]) for _ in range(CONSTANTS))
    return GraphPlan(StepGraph(random.randrange(3)), memory.bytes[Region.STATE], arena, ports, constants, tuple(made))
