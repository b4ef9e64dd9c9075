"""The five kernels of a plan, and the plan itself. The page docs/reference/microcontroller-plan.md says what each computes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebll.kernel.microcontroller.plan_parts import Code, Instruction, Operand, PlanDtype, Port, StepGraph

Pair = tuple[int, int]
#: What floats are rounded to, and what a factor of a product may be beside a float32.
SHORT_INTEGERS = frozenset((PlanDtype.INT8, PlanDtype.INT16))


@dataclass(frozen=True)
class ElementKernel:
    """Runs a program once for each loop index.

    Args:
        extents: of the loops, 1 to 6 of them, outermost first.
        operands: what the program names by slots 8, 9, ...
        program: the instructions.
    """

    OPCODE: ClassVar[int] = 1
    extents: tuple[int, ...]
    operands: tuple[Operand, ...]
    program: tuple[Instruction, ...]


@dataclass(frozen=True)
class ReduceKernel:
    """Sums or takes the maximum over loops.

    Args:
        extents: kept loops, then reduced ones, then with `lane_kept` one more that is kept.
        operands: for both programs; what the epilogue names has strides 0 in reduced loops.
        prologue: leaves the term in register 0; writes no operand.
        epilogue: gets the result in register 0.
        kept: number of leading loops that are kept.
        maximum: take the maximum in place of the sum. Default: False.
        lane_kept: the last loop is kept. Default: False, it is reduced.
    """

    OPCODE: ClassVar[int] = 2
    extents: tuple[int, ...]
    operands: tuple[Operand, ...]
    prologue: tuple[Instruction, ...]
    epilogue: tuple[Instruction, ...]
    kept: int
    maximum: bool = False
    lane_kept: bool = False

    @property
    def program(self) -> tuple[Instruction, ...]:
        """Both programs in one list, as the plan stores them."""
        return self.prologue + self.epilogue

    @property
    def reduced(self) -> range:
        """The numbers of the loops that are reduced."""
        return range(self.kept, len(self.extents) - self.lane_kept)


@dataclass(frozen=True)
class GemmKernel:
    """Sums products of A and B over one more loop, k, and gives each sum to a program.

    Args:
        extents: of the loops, 1 to 5; the runtime works along the last.
        k: number of terms of each sum.
        a: strides of all loops, then of k; 0 for the last loop. Both factors are int8, or one is float32 and the other that,
            int8 or int16.
        b: strides of all loops, then of k.
        operands: of the program.
        program: gets the sum in register 0.
    """

    OPCODE: ClassVar[int] = 3
    extents: tuple[int, ...]
    k: int
    a: Operand
    b: Operand
    operands: tuple[Operand, ...]
    program: tuple[Instruction, ...]


@dataclass(frozen=True)
class ConvKernel:
    """Convolves, grouped, strided and dilated, and gives each sum to a program.

    Args:
        extents: batch, groups, output channels of a group, output rows, output columns.
        inputs: input channels of a group, rows and columns of the input.
        taps: rows and columns of the kernel.
        stride: of rows and columns.
        dilation: of the kernel's rows and columns.
        input_dilation: of the input's rows and columns; above 1 for transposed convolutions.
        padding: before the first row and column; may be negative.
        x: strides of batch, group, input channel, row, column. Factors are of the dtypes of a GemmKernel.
        kernel: strides of group, output channel, input channel, kernel row, kernel column.
        operands: of the program.
        program: gets the sum in register 0.
        columns: work along output columns, which suits depthwise convolutions. No bit depends on it. Default: False,
            along output channels.
    """

    OPCODE: ClassVar[int] = 4
    extents: tuple[int, ...]
    inputs: tuple[int, int, int]
    taps: Pair
    stride: Pair
    dilation: Pair
    input_dilation: Pair
    padding: Pair
    x: Operand
    kernel: Operand
    operands: tuple[Operand, ...]
    program: tuple[Instruction, ...]
    columns: bool = False


@dataclass(frozen=True)
class GatherKernel:
    """Copies rows of a table by index, or adds to them.

    Args:
        extents: number of indices, columns of the table.
        rows: number of rows of the table, to which indices are clamped.
        index: integers; stride 0 for columns.
        table: first stride is that of table rows.
        out: rows that are written, or added with `scatter`.
        scatter: add the rows of `out` to those of the table, in the order of the indices. Default: False.
    """

    OPCODE: ClassVar[int] = 5
    extents: tuple[int, ...]
    rows: int
    index: Operand
    table: Operand
    out: Operand
    scatter: bool = False

    @property
    def operands(self) -> tuple[Operand, ...]:
        """Index, table and rows, as the plan stores them."""
        return (self.index, self.table, self.out)

    @property
    def program(self) -> tuple[Instruction, ...]:
        """It has none."""
        return ()


PlanKernel = ElementKernel | ReduceKernel | GemmKernel | ConvKernel | GatherKernel


@dataclass(frozen=True)
class GraphPlan:
    """The plan of one graph of a block.

    Args:
        graph: step, forward or feedback.
        state_bytes: size of the state region.
        arena_bytes: size of the arena.
        ports: inputs and outputs.
        constants: float32, int32, int16 and int8, little-endian.
        kernels: in the order in which they run.
    """

    graph: StepGraph
    state_bytes: int
    arena_bytes: int
    ports: tuple[Port, ...]
    constants: bytes
    kernels: tuple[PlanKernel, ...]

    @property
    def uses_int8(self) -> bool:
        """Whether anything in it is int8 or int16, which not every board's runtime has."""
        return any(map(_uses_int8, self.kernels))


def _uses_int8(kernel: PlanKernel) -> bool:
    operands = [*kernel.operands, *factors_of(kernel)]
    codes = (step.code for step in kernel.program)
    return any(operand.dtype in SHORT_INTEGERS for operand in operands) or Code.TO_INT8 in codes


def factors_of(kernel: PlanKernel) -> tuple[Operand, ...]:
    """The two factors of a sum of products; none of other kernels."""
    if isinstance(kernel, GemmKernel):
        return (kernel.a, kernel.b)
    return (kernel.x, kernel.kernel) if isinstance(kernel, ConvKernel) else ()
