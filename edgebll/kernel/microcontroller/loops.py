"""The loops of a kernel: axes of one element go, and neighbours over which all operands run on become one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Loops:
    """Extents, and strides of each of some views.

    Attributes:
        extents: outermost first.
        strides: of each view, one for each loop.
    """

    extents: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]

    def merged(self) -> Loops:
        """Fewer loops that run over the same elements in the same order; at least none."""
        extents: list[int] = []
        columns: list[list[int]] = []
        for axis, extent in enumerate(self.extents):
            column = [view[axis] for view in self.strides]
            if extent == 1:
                continue
            if extents and all(outer == inner * extent for outer, inner in zip(columns[-1], column, strict=True)):
                extents[-1] *= extent
                columns[-1] = column
            else:
                extents.append(extent)
                columns.append(column)
        return _of(extents, columns, len(self.strides))

    def longest_last(self) -> Loops:
        """The same in an order that has a long loop last, along which the runtime works."""
        if not self.extents or 2 * self.extents[-1] > max(self.extents):
            return self
        longest = max(range(len(self.extents)), key=lambda axis: (self.extents[axis], axis))
        order = [*(axis for axis in range(len(self.extents)) if axis != longest), longest]
        return self.in_order(order)

    def in_order(self, order: Sequence[int]) -> Loops:
        """The loops in another order."""
        return Loops(
            tuple(self.extents[axis] for axis in order), tuple(tuple(view[axis] for axis in order) for view in self.strides)
        )

    def at_least_one(self) -> Loops:
        """One loop over one element where there is none."""
        return self if self.extents else Loops((1,), tuple((0,) for _ in self.strides))


def _of(extents: Sequence[int], columns: Sequence[Sequence[int]], views: int) -> Loops:
    return Loops(tuple(extents), tuple(tuple(column[view] for column in columns) for view in range(views)))
