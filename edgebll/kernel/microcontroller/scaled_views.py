"""int8 numbers and what a unit of them stands for: products take the numbers as they are, and scale the sums."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from edgebll.kernel.microcontroller.expressions import Expression, load
from edgebll.kernel.microcontroller.views import BufferRole, PlannedBuffer, StridedView
from edgebll.kernel.state.block_state import Array


@dataclass(frozen=True)
class ScaledView:
    """A tensor as integers times scales; of a float32 tensor there is no scale.

    Attributes:
        view: of the elements.
        scale: of the same shape, with stride 0 wherever the scale is the same; None for float32.
    """

    view: StridedView
    scale: StridedView | None = None

    def map(self, change: Callable[[StridedView], StridedView]) -> ScaledView:
        """The same, seen otherwise.

        Args:
            change: what becomes of a view of this shape.
        """
        return ScaledView(change(self.view), None if self.scale is None else change(self.scale))

    def mapped(self, change: Callable[[StridedView], StridedView | None]) -> ScaledView | None:
        """The same where it can be seen so at all.

        Args:
            change: what becomes of a view of this shape; None where it is none.
        """
        view, scale = change(self.view), None if self.scale is None else change(self.scale)
        return None if view is None or (self.scale is not None and scale is None) else ScaledView(view, scale)

    def same_along(self, axes: Sequence[int]) -> bool:
        """Whether all elements along some axes, those of them that there are, have one scale: sums over them leave it out."""
        if self.scale is None:
            return False
        rank = len(self.scale.strides)
        return all(self.scale.strides[axis] == 0 for axis in axes if -rank <= axis < rank)

    def value(self) -> Expression:
        """An element as a float."""
        return load(self.view) if self.scale is None else Expression("mul", (load(self.view), load(self.scale)))


def scale_view(scale: StridedView, shape: Sequence[int], axis: int) -> StridedView:
    """A scale for a whole tensor, or one for each place of an axis, as a view of the tensor's shape.

    Args:
        scale: of no axes, or of one.
        shape: of the tensor.
        axis: what a scale of one axis goes along.

    Raises:
        ValueError: it is of another shape.
    """
    if scale.size == 1:
        return scale.with_axes(shape, (0,) * len(shape))
    if scale.shape != (shape[axis],):
        raise ValueError(f"scales of shape {list(scale.shape)} do not go along axis {axis} of {list(shape)}")
    return scale.with_axes(shape, tuple(scale.strides[0] if place == axis else 0 for place in range(len(shape))))


def times_scales(value: Expression, scales: Sequence[StridedView]) -> Expression:
    """A sum of products of integers as a float.

    Args:
        value: the sum.
        scales: of the factors, as views of its grid.
    """
    if not scales:
        return value
    known = [one for one in map(held, scales) if one is not None]
    if len(known) == len(scales):
        return Expression("mul", (value, constant(reduce(np.multiply, known), scales[0].shape)))
    for scale in scales:
        value = Expression("mul", (value, load(scale)))
    return value


def inverse(scale: StridedView) -> Expression:
    """One over a scale, by which floats become integers.

    Args:
        scale: as a view of the floats' grid.
    """
    known = held(scale)
    return Expression("reciprocal", (load(scale),)) if known is None else constant(np.reciprocal(known), scale.shape)


def held(view: StridedView) -> Array | None:
    """The elements of a constant, what is repeated once: of its shape, with 1 along such axes. None where it is no constant.

    Args:
        view: of a constant, or of anything else.
    """
    content = view.buffer.content
    if content is None:
        return None
    shape = tuple(1 if stride == 0 else size for size, stride in zip(view.shape, view.strides, strict=True))
    found: Array = content.reshape(-1)[view.with_axes(shape, view.strides).addresses()]
    return found


def constant(content: Array, shape: Sequence[int]) -> Expression:
    """Numbers at every position of a grid.

    Args:
        content: of its shape, with 1 along axes where they repeat; leading ones may be missing.
        shape: of the grid.
    """
    buffer = PlannedBuffer("scale", content.shape, BufferRole.CONSTANT, "float32", content.astype(np.float32))
    return load(buffer.whole().expanded(shape))
