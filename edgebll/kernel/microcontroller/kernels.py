"""The intermediate form: a list of kernels. Each accumulates something at every position of its grid, or nothing, and then
computes its element program there and stores what that gives.

So a bias, an activation and the update of a weight are element programs behind a product, and an update needs no array for the
gradient: it is the sum that the product has at that position.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from edgebll.kernel.microcontroller.expressions import Expression, loaded
from edgebll.kernel.microcontroller.views import PlannedBuffer, StridedView


@dataclass(frozen=True)
class Reduction:
    """Sum or maximum of an element program over axes behind the grid's.

    Attributes:
        kind: "sum" or "max".
        shape: of the axes that are reduced, in the order of summation.
        summand: read at every position; its views have the grid's axes and then these.
    """

    kind: str
    shape: tuple[int, ...]
    summand: Expression


@dataclass(frozen=True)
class MatrixProduct:
    """a (..., M, K) times b (..., K, N); the grid is (..., M, N)."""

    a: StridedView
    b: StridedView


@dataclass(frozen=True)
class WindowSum:
    """A convolution in any of its forms; the grid is (N, G, O, Y, X).

    At output position p and tap t along an axis of space it takes the input at (p * stride + t * dilation - padding) /
    input_dilation, if that is whole and inside.

    Attributes:
        x: (N, G, I, height, width).
        weight: (G, O, I, taps high, taps wide).
        stride: along the two axes, as the others.
        dilation: between taps.
        input_dilation: positions that an input element stands for.
        padding: before the first.
    """

    x: StridedView
    weight: StridedView
    stride: tuple[int, int]
    dilation: tuple[int, int]
    input_dilation: tuple[int, int]
    padding: tuple[int, int]


@dataclass(frozen=True)
class RowGather:
    """Rows of a table at positions that are data; the grid is (P, R).

    Attributes:
        table: (rows, R).
        positions: (P,), integers.
    """

    table: StridedView
    positions: StridedView


Source = Reduction | MatrixProduct | WindowSum | RowGather


@dataclass(frozen=True, eq=False)
class PlannedKernel:
    """One kernel; it is never changed, a changed one takes its place.

    Attributes:
        shape: its grid.
        stores: views of the grid's shape and what is written to each.
        source: what is accumulated; None for an element program alone.
        place: where it stood in the graph; orders without need follow it.
    """

    shape: tuple[int, ...]
    stores: tuple[tuple[StridedView, Expression], ...]
    source: Source | None = None
    place: float = 0.0

    @property
    def roots(self) -> list[Expression]:
        """The element program's results."""
        return [expression for _, expression in self.stores]

    @cached_property
    def element_views(self) -> list[StridedView]:
        """Views that the element program behind the sum reads."""
        return loaded(self.roots)

    @cached_property
    def summand_views(self) -> list[StridedView]:
        """Views that a reduction's summand reads."""
        return loaded([self.source.summand]) if isinstance(self.source, Reduction) else []

    @cached_property
    def whole_views(self) -> list[StridedView]:
        """Views of which the sum at one position reads many elements, besides a reduction's summand."""
        source = self.source
        if isinstance(source, MatrixProduct):
            return [source.a, source.b]
        if isinstance(source, WindowSum):
            return [source.x, source.weight]
        return [source.table, source.positions] if isinstance(source, RowGather) else []

    @cached_property
    def reads(self) -> tuple[PlannedBuffer, ...]:
        """Buffers it reads, each once."""
        views = (*self.element_views, *self.summand_views, *self.whole_views)
        return tuple(dict.fromkeys(view.buffer for view in views))

    @cached_property
    def writes(self) -> tuple[PlannedBuffer, ...]:
        """Buffers it writes, each once."""
        return tuple(dict.fromkeys(view.buffer for view, _ in self.stores))

    @property
    def is_behind(self) -> bool:
        """Whether it is to stay behind others, apart from them."""
        return any(buffer.is_behind for buffer in self.writes)

    def writes_to(self, buffer: PlannedBuffer) -> list[StridedView]:
        """Views of a buffer that it writes."""
        return [view for view, _ in self.stores if view.buffer is buffer]

    def reads_only_in_place(self, buffer: PlannedBuffer, written: Sequence[StridedView]) -> bool:
        """Whether it reads a buffer nowhere but at the address that it then writes there, so that both may be one.

        Args:
            buffer: what is read.
            written: views of what takes its place.
        """
        if any(view.buffer is buffer for view in (*self.summand_views, *self.whole_views)):
            return False
        mine = [view for view in self.element_views if view.buffer is buffer]
        return all(_same_grid(view, other) for view in mine for other in written)

    def moved(self, place: float) -> PlannedKernel:
        """The same at another place."""
        return replace(self, place=place)


def _same_grid(first: StridedView, second: StridedView) -> bool:
    return (first.offset, first.shape, first.strides) == (second.offset, second.shape, second.strides)


def element_kernel(view: StridedView, expression: Expression, place: float) -> PlannedKernel:
    """A kernel that only stores an element program's result."""
    return PlannedKernel(view.shape, ((view, expression),), None, place)
