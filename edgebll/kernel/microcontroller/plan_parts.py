"""What a plan consists of: regions, operands, element programs, ports; docs/reference/microcontroller-plan.md has the rest."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

#: Slots of an element program: registers first, then the operands of the kernel.
REGISTERS, MAX_OPERANDS, MAX_INSTRUCTIONS, MAX_RANK = 8, 16, 127, 6
#: The product of the extents of a kernel is below this, so that no board overflows an index.
FIRST_WORK_TOO_LARGE = 1 << 31
#: Strides are smaller in size than this, also those of loops of extent 1, which go nowhere.
FIRST_STRIDE_TOO_LARGE = 1 << 27
#: Sums of products of two int8 have fewer terms, so that none overflows 32 bits.
FIRST_INT8_TERMS_TOO_MANY = 1 << 17


class Region(IntEnum):
    """Where an operand lies: in the arena, in the block's state, or among the constants of the plan."""

    ARENA = 0
    STATE = 1
    CONSTANTS = 2


class PlanDtype(IntEnum):
    """How an element is stored; bool is uint8. All arithmetic is float32, but for sums of products of two int8."""

    FLOAT32 = 0
    UINT8 = 1
    INT32 = 2
    INT64 = 3
    INT8 = 4
    INT16 = 5

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return (4, 1, 4, 8, 1, 2)[self]


class StepGraph(IntEnum):
    """Which graph of a block a plan runs."""

    STEP = 0
    FORWARD = 1
    FEEDBACK = 2


class PortRole(IntEnum):
    """What an input or output of a graph is; `A` is also the beta of a feedback head."""

    X = 1
    Y = 2
    SCALAR = 3
    RECEIVED = 4
    A = 5
    METRIC = 6
    SENT = 7


class Code(IntEnum):
    """Opcodes of element programs."""

    MOVE = 0
    LOAD = 1
    STORE = 2
    ADD = 3
    SUB = 4
    MUL = 5
    DIV = 6
    MAX = 7
    MIN = 8
    GREATER = 9
    LESS = 10
    EQUAL = 11
    NEG = 12
    ABS = 13
    FLOOR = 14
    SQRT = 15
    RECIP = 16
    EXP = 17
    LOG = 18
    RELU = 19
    GATE = 20
    SELECT = 21
    MULADD = 22
    MULSUB = 23
    TO_INT8 = 24

    @property
    def sources(self) -> int:
        """How many slots it reads: 1 (a), 2 (a, b) or 3 (a, b, c)."""
        if Code.SELECT <= self <= Code.MULSUB:
            return 3
        return 2 if Code.ADD <= self <= Code.EQUAL or self is Code.GATE else 1


def operand_slot(index: int) -> int:
    """The slot by which instructions name operand number `index` (from 0) of their kernel."""
    return REGISTERS + index


@dataclass(frozen=True)
class Operand:
    """A strided view of a region.

    Args:
        region: where it lies.
        offset: element at loop indices 0, counted in elements of the dtype from the start of the region.
        strides: signed, in elements, one for each loop of the kernel, outermost first.
        dtype: how its elements are stored. Default: float32.
    """

    region: Region
    offset: int
    strides: tuple[int, ...]
    dtype: PlanDtype = PlanDtype.FLOAT32


@dataclass(frozen=True)
class Instruction:
    """One operation of an element program.

    Args:
        code: what it does.
        d: slot that it writes.
        a: first slot that it reads.
        b: second slot. Default: 0, where it reads one.
        c: third slot. Default: 0, where it reads two.
    """

    code: Code
    d: int
    a: int
    b: int = 0
    c: int = 0

    @property
    def sources(self) -> tuple[int, ...]:
        """The slots that it reads."""
        return (self.a, self.b, self.c)[: self.code.sources]


@dataclass(frozen=True)
class Port:
    """An input or output of the graph, contiguous in the arena.

    Args:
        role: what it is.
        index: its number among those of its role, in the order of the manifest.
        dtype: how its elements are stored.
        offset: in bytes from the start of the arena.
        count: number of elements.
    """

    role: PortRole
    index: int
    dtype: PlanDtype
    offset: int
    count: int
