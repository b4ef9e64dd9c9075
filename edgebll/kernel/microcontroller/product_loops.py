"""Loops of products: which of two factors stays the same along the last loop, and which convolutions are matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgebll.kernel.microcontroller.kernels import MatrixProduct, WindowSum
from edgebll.kernel.microcontroller.loops import Loops
from edgebll.kernel.microcontroller.views import StridedView


@dataclass(frozen=True)
class ProductLoops:
    """A sum of products over one axis, k.

    Attributes:
        count: of k.
        a: the factor that is the same along the last loop.
        b: the other one.
        a_step: its stride along k.
        b_step: likewise.
        loops: of the first factor, the second one, and then of the operands that were given.
    """

    count: int
    a: StridedView
    b: StridedView
    a_step: int
    b_step: int
    loops: Loops


def matrix_loops(shape: Sequence[int], source: MatrixProduct, operands: Sequence[tuple[int, ...]]) -> ProductLoops:
    """Loops of a matrix product; the longer of rows and columns comes last.

    Args:
        shape: of the grid.
        source: the product.
        operands: strides of the element program's operands over the grid.
    """
    rank = len(shape)
    a, b = (*source.a.strides[:-1], 0), (*source.b.strides[:-2], 0, source.b.strides[-1])
    by_row = (a, source.a, source.a.strides[-1]), (b, source.b, source.b.strides[-2])
    swap = shape[-2] > shape[-1]
    first, second = by_row[::-1] if swap else by_row
    loops = Loops(tuple(shape), (first[0], second[0], *operands))
    if swap:
        loops = loops.in_order((*range(rank - 2), rank - 1, rank - 2))
    return _finished(source.a.shape[-1], first[1:], second[1:], loops)


def window_as_product(shape: Sequence[int], source: WindowSum, operands: Sequence[tuple[int, ...]]) -> ProductLoops | None:
    """Loops of a convolution that leaves out no tap, if all its terms lie along one axis in both factors; else None.

    It sums the same terms in the same order.

    Args:
        shape: of the grid.
        source: the convolution.
        operands: strides of the element program's operands over the grid.
    """
    taps, space, inside = source.weight.shape[3:], tuple(shape[3:]), source.x.shape[3:]
    if source.input_dilation != (1, 1):
        return None
    for out, count, size, s, d, p in zip(space, taps, inside, source.stride, source.dilation, source.padding, strict=True):
        if p > 0 or (out - 1) * s + (count - 1) * d - p >= size:
            return None
    x, w = source.x.strides, source.weight.strides
    steps = Loops(
        (source.x.shape[2], *taps), ((x[2], *(along * d for along, d in zip(x[3:], source.dilation, strict=True))), w[2:])
    ).merged()
    if len(steps.extents) > 1:
        return None
    count = steps.extents[0] if steps.extents else 1
    x_step, w_step = (view[0] if view else 0 for view in steps.strides)
    x_loops = (x[0], x[1], 0, *(along * s for along, s in zip(x[3:], source.stride, strict=True)))
    w_loops = (0, w[0], w[1], 0, 0)
    start = -sum(along * p for along, p in zip(x[3:], source.padding, strict=True))
    image = source.x.with_axes(source.x.shape, source.x.strides, start)
    loops = Loops(tuple(shape), (x_loops, w_loops, *operands))
    if shape[2] > space[0] * space[1]:  # output channels last: the image is the same along them
        return _finished(count, (image, x_step), (source.weight, w_step), loops.in_order((0, 1, 3, 4, 2)))
    swapped = Loops(loops.extents, (w_loops, x_loops, *operands))
    return _finished(count, (source.weight, w_step), (image, x_step), swapped)


def _finished(count: int, a: tuple[StridedView, int], b: tuple[StridedView, int], loops: Loops) -> ProductLoops:
    merged = loops.merged()
    if not merged.extents or merged.strides[0][-1]:
        merged = Loops((*merged.extents, 1), tuple((*view, 0) for view in merged.strides))
    return ProductLoops(count, a[0], b[0], a[1], b[1], merged)
