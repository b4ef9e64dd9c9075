"""Kernels of the intermediate form as kernels of a plan: operands in their regions, loops, instructions."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from edgebll.kernel.microcontroller.buffer_places import BufferPlaces
from edgebll.kernel.microcontroller.element_programs import OperandSlots, TooLargeError, compiled
from edgebll.kernel.microcontroller.expressions import Expression
from edgebll.kernel.microcontroller.kernels import MatrixProduct, PlannedKernel, Reduction, RowGather, WindowSum
from edgebll.kernel.microcontroller.loops import Loops
from edgebll.kernel.microcontroller.outer_products import OuterProduct, outer_product
from edgebll.kernel.microcontroller.plan_kernels import (
    ConvKernel,
    ElementKernel,
    GatherKernel,
    GemmKernel,
    PlanKernel,
    ReduceKernel,
)
from edgebll.kernel.microcontroller.plan_parts import Instruction, Operand, PlanDtype, Region
from edgebll.kernel.microcontroller.product_loops import ProductLoops, matrix_loops, window_as_product
from edgebll.kernel.microcontroller.views import BufferRole, StridedView

#: The runtime works along a loop that a reduction keeps from this extent on, or where the one it reduces is shorter.
_LONG_ROW = 16
#: With fewer output channels than this a convolution works along its columns, if there are more of them.
_FEW_CHANNELS = 8
#: Dtypes in which factors may stay.
FACTOR_KINDS = ("int8", "int16")
_Leaf = Callable[[Expression], tuple[Hashable, bool]]


def fits(kernel: PlannedKernel) -> bool:
    """Whether a kernel has few enough operands, registers and instructions to be written down."""
    slots = OperandSlots()
    try:
        for roots, targets in _programs(kernel):
            places = [slots.slot(_by_view(view)) if view else 0 for view in targets]
            integers = [place for place, view in zip(places, targets, strict=True) if view and view.buffer.dtype != "float32"]
            compiled(roots, places, _leaf_by_view, slots, kernel.source is not None and None not in targets, integers)
    except TooLargeError:
        return False
    return True


def _programs(kernel: PlannedKernel) -> list[tuple[list[Expression], list[StridedView | None]]]:
    programs: list[tuple[list[Expression], list[StridedView | None]]] = []
    if isinstance(kernel.source, Reduction):
        programs.append(([kernel.source.summand], [None]))
    return [*programs, (stored(kernel), [view for view, _ in kernel.stores])]


def stored(kernel: PlannedKernel) -> list[Expression]:
    """What is computed for each place: to int8 and int16 it need not be rounded before, for storing there does it."""
    return [
        root.arguments[0] if root.operator == view.buffer.dtype and root.operator in FACTOR_KINDS else root
        for view, root in kernel.stores
    ]


def _by_view(view: StridedView) -> Hashable:
    return (view.buffer.home or view.buffer, view.offset, view.strides)


def _leaf_by_view(part: Expression) -> tuple[Hashable, bool]:
    if part.view is None:
        return part.number, True
    return _by_view(part.view), part.view.buffer.dtype == "float32" or part.view.buffer.role is BufferRole.CONSTANT


class Emitter:
    """Writes the kernels of one graph.

    Args:
        placement: where all buffers are.
    """

    def __init__(self, placement: BufferPlaces) -> None:
        self._placement = placement

    def kernel(self, kernel: PlannedKernel) -> PlanKernel:
        """One kernel of the plan.

        Raises:
            TooLargeError: it takes more operands or registers than there are.
        """
        source = kernel.source
        if isinstance(source, Reduction):
            return self._reduce(kernel, source)
        if isinstance(source, RowGather):
            return self._gather(kernel, source)
        outer = outer_product(kernel)
        if outer is not None and self._apart(outer, kernel):
            slots = OperandSlots()
            program = self._program(outer.without(kernel), slots, len(kernel.shape), True)
            return self._product(outer.loops(kernel.shape, [one.strides for one in _operands(slots)]), slots, program)
        slots = OperandSlots()
        program = self._program(kernel, slots, len(kernel.shape), source is not None)
        strides = [operand.strides for operand in _operands(slots)]
        if isinstance(source, MatrixProduct):
            return self._product(matrix_loops(kernel.shape, source, strides), slots, program)
        if isinstance(source, WindowSum):
            product = window_as_product(kernel.shape, source, strides)
            return self._product(product, slots, program) if product else self._window(kernel, source, slots, program)
        loops = Loops(kernel.shape, tuple(strides)).merged().longest_last().at_least_one()
        return ElementKernel(loops.extents, _along(slots, loops.strides), program)

    def _program(self, kernel: PlannedKernel, slots: OperandSlots, rank: int, sums: bool) -> tuple[Instruction, ...]:
        operands = [self._placement.operand(view, view.strides, rank) for view, _ in kernel.stores]
        targets = [slots.slot(operand) for operand in operands]
        integers = [slot for slot, one in zip(targets, operands, strict=True) if one.dtype is not PlanDtype.FLOAT32]
        return compiled(stored(kernel), targets, self._leaf(rank), slots, sums, integers)

    def _apart(self, outer: OuterProduct, kernel: PlannedKernel) -> bool:
        """Whether no factor lies where the kernel writes, which a sum may not read."""
        written = [self._bytes_of(view) for view, _ in kernel.stores]
        return not any(
            region is other and low <= end and start <= high
            for region, low, high in (self._bytes_of(outer.a), self._bytes_of(outer.b))
            for other, start, end in written
        )

    def _bytes_of(self, view: StridedView) -> tuple[Region, int, int]:
        """The region of a view, its first and its last byte there."""
        operand, (low, high) = self._placement.operand(view, view.strides, len(view.shape)), view.span
        start, size = operand.offset - view.offset, operand.dtype.size
        return operand.region, (start + low) * size, (start + high + 1) * size - 1

    def _leaf(self, rank: int) -> _Leaf:
        def leaf(part: Expression) -> tuple[Hashable, bool]:
            operand = self._placement.leaf(part, rank)
            return operand, operand.dtype is PlanDtype.FLOAT32

        return leaf

    def _reduce(self, kernel: PlannedKernel, source: Reduction) -> ReduceKernel:
        kept, rank, slots = len(kernel.shape), len(kernel.shape) + len(source.shape), OperandSlots()
        prologue = compiled([source.summand], [0], self._leaf(rank), slots, False)
        epilogue = self._program(kernel, slots, rank, True)
        strides = [operand.strides for operand in _operands(slots)]
        outer = Loops(kernel.shape, tuple(view[:kept] for view in strides)).merged()
        inner = Loops(source.shape, tuple(view[kept:] for view in strides)).merged().at_least_one()
        lane = bool(outer.extents) and outer.extents[-1] >= min(_LONG_ROW, inner.extents[-1])
        leading = len(outer.extents) - lane
        extents = (*outer.extents[:leading], *inner.extents, *outer.extents[leading:])
        along = [(*o[:leading], *i, *o[leading:]) for o, i in zip(outer.strides, inner.strides, strict=True)]
        return ReduceKernel(extents, _along(slots, along), prologue, epilogue, leading, source.kind == "max", lane)

    def _product(self, product: ProductLoops, slots: OperandSlots, program: tuple[Instruction, ...]) -> GemmKernel:
        a_strides, b_strides, *others = product.loops.strides
        a = self._placement.operand(product.a, (*a_strides, product.a_step), len(a_strides) + 1, kinds=FACTOR_KINDS)
        b = self._placement.operand(product.b, (*b_strides, product.b_step), len(b_strides) + 1, kinds=FACTOR_KINDS)
        return GemmKernel(product.loops.extents, product.count, a, b, _along(slots, others), program)

    def _window(
        self, kernel: PlannedKernel, source: WindowSum, slots: OperandSlots, program: tuple[Instruction, ...]
    ) -> ConvKernel:
        batch, groups, channels, height, width = kernel.shape
        x, weight = (self._placement.operand(view, view.strides, 5, kinds=FACTOR_KINDS) for view in (source.x, source.weight))
        operands = _along(slots, [operand.strides for operand in _operands(slots)])
        columns = channels < min(_FEW_CHANNELS, width)
        return ConvKernel(
            (batch, groups, channels, height, width),
            (source.x.shape[2], source.x.shape[3], source.x.shape[4]),
            (source.weight.shape[3], source.weight.shape[4]),
            source.stride,
            source.dilation,
            source.input_dilation,
            source.padding,
            x,
            weight,
            operands,
            program,
            columns,
        )

    def _gather(self, kernel: PlannedKernel, source: RowGather) -> GatherKernel:
        ((store, _),) = kernel.stores
        index = self._placement.operand(source.positions, source.positions.strides, 2, kinds=("int32",))
        table = self._placement.operand(source.table, source.table.strides, 2)
        out = self._placement.operand(store, store.strides, 2)
        count, columns = kernel.shape
        return GatherKernel((count, columns), source.table.shape[0], index, table, out)


def _operands(slots: OperandSlots) -> list[Operand]:
    return [key for key in slots.keys if isinstance(key, Operand)]


def _along(slots: OperandSlots, strides: Sequence[Sequence[int]]) -> tuple[Operand, ...]:
    """The operands with strides over the loops in place of those over the grid."""
    pairs = zip(_operands(slots), strides, strict=True)
    return tuple(Operand(operand.region, operand.offset, tuple(along), operand.dtype) for operand, along in pairs)
