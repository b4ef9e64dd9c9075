"""Buffers of a block and views of them: an offset and a stride an axis, both counted in elements.

Whatever a view is turned into, one question decides: do the addresses it reads lie on a grid again? It is asked of the
addresses themselves, all of them, so there are no rules for merging and splitting axes that could be wrong.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from edgebll.kernel.state.block_state import Array

Addresses = np.ndarray[Any, np.dtype[np.int64]]
_KEPT = 64


class BufferRole(enum.Enum):
    """What a buffer is for."""

    STATE = "state"
    INPUT = "input"
    CONSTANT = "constant"
    TEMPORARY = "temporary"


@dataclass(eq=False)
class PlannedBuffer:
    """Elements that lie one after another.

    Attributes:
        name: of the value in the graph.
        shape: its elements are those of a dense array of this shape.
        role: what it is for.
        dtype: of its elements; everything that is computed is float32, or rounded to int8.
        content: of a constant.
        home: the state tensor in whose place this result is written, where it is one's next value.
        is_behind: it is written behind everything that reads what lies there, by a kernel that does nothing else.
    """

    name: str
    shape: tuple[int, ...]
    role: BufferRole = BufferRole.TEMPORARY
    dtype: str = "float32"
    content: Array | None = None
    home: PlannedBuffer | None = field(default=None, repr=False)
    is_behind: bool = False

    @cached_property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @cached_property
    def size_bytes(self) -> int:
        """Bytes of all elements."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def in_arena(self) -> bool:
        """Whether it takes room in the arena."""
        return self.role in (BufferRole.TEMPORARY, BufferRole.INPUT) and self.home is None

    def whole(self) -> StridedView:
        """A view of all elements in the buffer's shape."""
        return StridedView(self, 0, self.shape, dense_strides(self.shape))


@dataclass(frozen=True)
class StridedView:
    """Elements of a buffer on a grid.

    Attributes:
        buffer: whose elements these are.
        offset: of the first one.
        shape: of the grid.
        strides: elements from one to the next along each axis; 0 repeats, below 0 goes backwards, 0 also along an axis of 1.
    """

    buffer: PlannedBuffer
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of positions of the grid."""
        return math.prod(self.shape)

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the buffer in order."""
        return self.offset == 0 and self.size == self.buffer.size and self.strides == dense_strides(self.shape)

    @property
    def span(self) -> tuple[int, int]:
        """The lowest and the highest element number."""
        reach = [(size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)]
        return self.offset + sum(min(0, r) for r in reach), self.offset + sum(max(0, r) for r in reach)

    def addresses(self) -> Addresses:
        """Element numbers, int64, of the grid's shape; not to be changed."""
        return addresses(self.offset, self.shape, self.strides)

    def at(self, places: Addresses) -> StridedView | None:
        """The elements at these places of the grid (row-major numbers), in the shape of `places`; None if on no grid."""
        found = grid_of(self.addresses().reshape(-1)[places])
        return None if found is None else StridedView(self.buffer, found[0], places.shape, found[1])

    def reshaped(self, shape: Sequence[int]) -> StridedView | None:
        """The same elements in row-major order in another shape; None if they lie on no grid there."""
        sizes = tuple(shape)
        if self.strides == dense_strides(self.shape):
            return StridedView(self.buffer, self.offset, sizes, dense_strides(sizes))
        found = grid_of(self.addresses().reshape(sizes))
        return None if found is None else StridedView(self.buffer, found[0], sizes, found[1])

    def permuted(self, order: Sequence[int]) -> StridedView:
        """Axes in another order."""
        return StridedView(
            self.buffer, self.offset, tuple(self.shape[axis] for axis in order), tuple(self.strides[axis] for axis in order)
        )

    def expanded(self, shape: Sequence[int]) -> StridedView:
        """Broadcast to a shape as numpy does."""
        added = len(shape) - len(self.shape)
        old = ((1, 0),) * added + tuple(zip(self.shape, self.strides, strict=True))
        strides = tuple(stride if size == now else 0 for (size, stride), now in zip(old, shape, strict=True))
        return StridedView(self.buffer, self.offset, tuple(shape), canonical(tuple(shape), strides))

    def sliced(self, axis: int, start: int, count: int, step: int = 1) -> StridedView:
        """Every `step`-th of an axis from `start` on, `count` of them."""
        shape, strides = list(self.shape), list(self.strides)
        offset = self.offset + start * strides[axis]
        shape[axis], strides[axis] = count, strides[axis] * step
        return StridedView(self.buffer, offset, tuple(shape), canonical(tuple(shape), tuple(strides)))

    def with_axes(self, shape: Sequence[int], strides: Sequence[int], offset: int = 0) -> StridedView:
        """Another grid over the same buffer, `offset` elements on from this one's start."""
        return StridedView(self.buffer, self.offset + offset, tuple(shape), canonical(tuple(shape), tuple(strides)))


def canonical(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Strides with 0 where an axis has one element, so that equal grids are equal."""
    return tuple(0 if size == 1 else stride for size, stride in zip(shape, strides, strict=True))


@lru_cache(maxsize=4096)
def dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a row-major array without gaps."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return canonical(shape, tuple(strides))


@lru_cache(maxsize=_KEPT)
def addresses(offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> Addresses:
    """Element numbers of a grid, int64, of its shape, read-only."""
    found = np.full(shape, offset, np.int64)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        found += (np.arange(size, dtype=np.int64) * stride).reshape((-1,) + (1,) * (len(shape) - axis - 1))
    found.flags.writeable = False
    return found


def grid_of(found: Addresses) -> tuple[int, tuple[int, ...]] | None:
    """Offset and strides of addresses, or None where they lie on no grid."""
    if found.size == 0:
        return 0, (0,) * found.ndim
    first = int(found.reshape(-1)[0])
    strides = tuple(
        0 if size == 1 else int(found[(0,) * axis + (1,) + (0,) * (found.ndim - axis - 1)]) - first
        for axis, size in enumerate(found.shape)
    )
    return (first, strides) if np.array_equal(addresses(first, found.shape, strides), found) else None
