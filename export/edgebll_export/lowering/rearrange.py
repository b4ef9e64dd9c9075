"""Flips, rolls, repetitions, splits and diagonals; and values written into a part of another, as pure operators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import pick, spread
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.shape import cat, crop, unsqueeze
from edgebll_export.lowering_registry import lowering

_FAMILY = "shape"


@lowering("aten.flip.default", family=_FAMILY)
def flip(g: GraphBuilder, x: Value, axes: Sequence[int]) -> Value:
    """Axes in reverse order."""
    if not x.shape:
        return x
    chosen = [axis % len(x.shape) for axis in axes]
    if g.target.compact:
        for axis in chosen:
            x = pick(g, x, axis, np.arange(x.shape[axis])[::-1].astype(np.int64))
        return x
    ends = [-1 - x.shape[axis] for axis in chosen]
    index = [g.constant(np.array(part, np.int64)) for part in ([-1] * len(chosen), ends, chosen, [-1] * len(chosen))]
    return g.op("Slice", [x, *index], x.shape) if chosen else x


@lowering("aten.roll.default", family=_FAMILY)
def roll(g: GraphBuilder, x: Value, shifts: Sequence[int], axes: Sequence[int] = ()) -> Value:
    """Elements moved along axes, around the end; without axes in the flat order."""
    if not axes:
        return g.reshape(roll(g, g.reshape(x, (math.prod(x.shape),)), shifts, [0]), x.shape)
    for shift, axis in zip(shifts, axes, strict=True):
        size = x.shape[axis]
        start = -shift % size
        if start:
            parts = [crop(g, x, [axis % len(x.shape)], [a], [b], [1]) for a, b in ((start, size), (0, start))]
            x = cat(g, parts, axis)
    return x


@lowering("aten.repeat.default", family=_FAMILY)
def repeat(g: GraphBuilder, x: Value, counts: Sequence[int]) -> Value:
    """Repeated along every axis, of which there may be more in front."""
    x = g.reshape(x, (1,) * (len(counts) - len(x.shape)) + x.shape)
    shape = tuple(size * count for size, count in zip(x.shape, counts, strict=True))
    if all(size == 1 or count == 1 for size, count in zip(x.stored, counts, strict=True)):
        return replace(x, shape=shape)
    if g.target.compact:
        pairs = list(zip(x.shape, counts, strict=True))
        apart = g.reshape(g.dense(x), tuple(part for size, count in pairs for part in ((1, size) if count > 1 else (size,))))
        wide = tuple(part for size, count in pairs for part in ((count, size) if count > 1 else (size,)))
        return g.reshape(replace(apart, shape=wide), shape)
    return g.op("Tile", [x, g.constant(np.array(counts, np.int64))], shape)


@lowering("aten.split_with_sizes.default", family=_FAMILY)
def split_with_sizes(g: GraphBuilder, x: Value, sizes: Sequence[int], axis: int = 0) -> list[Value]:
    """Cut along an axis into parts of these sizes."""
    axis %= len(x.shape)
    if len(sizes) == 1:
        return [x]
    x = g.dense(x)
    if g.target.compact:
        ends = np.cumsum(sizes).tolist()
        return [crop(g, x, [axis], [end - size], [end], [1]) for end, size in zip(ends, sizes, strict=True)]
    outputs = [(x.dtype, (*x.shape[:axis], size, *x.shape[axis + 1 :])) for size in sizes]
    return g.node("Split", [x, g.constant(np.array(sizes, np.int64))], outputs, axis=axis)


@lowering("aten.split.Tensor", family=_FAMILY)
@lowering("aten.unsafe_split.Tensor", family=_FAMILY)
def split(g: GraphBuilder, x: Value, size: int, axis: int = 0) -> list[Value]:
    """Cut along an axis into parts of one size, the last perhaps smaller."""
    length = x.shape[axis]
    ends = [*range(size, length, size), length]
    return split_with_sizes(g, x, np.diff([0, *ends]).tolist(), axis)


def _diagonal_places(rows: int, columns: int, offset: int) -> Any:
    first = max(0, -offset) * columns + max(0, offset)
    count = max(0, min(rows - max(0, -offset), columns - max(0, offset)))
    return first + np.arange(count, dtype=np.int64) * (columns + 1)


@lowering("aten.diagonal.default", family=_FAMILY)
def diagonal(g: GraphBuilder, x: Value, offset: int = 0, first: int = 0, second: int = 1) -> Value:
    """The diagonal of two axes, as the last axis."""
    rank = len(x.shape)
    last = [first % rank, second % rank]
    x = g.transpose(x, [*(axis for axis in range(rank) if axis not in last), *last])
    flat = g.reshape(x, (*x.shape[:-2], x.shape[-2] * x.shape[-1]))
    return pick(g, flat, -1, _diagonal_places(x.shape[-2], x.shape[-1], offset))


@lowering("aten.diagonal_backward.default", family=_FAMILY)
def diagonal_backward(g: GraphBuilder, grad: Value, shape: Sequence[int], offset: int, first: int, second: int) -> Value:
    """Zeros but on the diagonal."""
    rank = len(shape)
    last = [first % rank, second % rank]
    order = [*(axis for axis in range(rank) if axis not in last), *last]
    rows, columns = shape[last[0]], shape[last[1]]
    flat = spread(g, grad, -1, _diagonal_places(rows, columns, offset), rows * columns)
    return g.transpose(g.reshape(flat, (*grad.shape[:-1], rows, columns)), [order.index(axis) for axis in range(rank)])


@lowering("aten.copy.default", family=_FAMILY)
@lowering("aten.copy_.default", family=_FAMILY, writes=((0, 0),))
def copy(g: GraphBuilder, x: Value, source: Value, _non_blocking: bool = False) -> Value:
    """The source in the shape and dtype of x."""
    wide = g.reshape(to_copy(g, source, x.dtype), (1,) * (len(x.shape) - len(source.shape)) + source.shape)
    return replace(wide, shape=x.shape)


@lowering("aten.slice_scatter.default", family=_FAMILY)
def slice_scatter(
    g: GraphBuilder, x: Value, source: Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Value:
    """X with x[start:end:step] along an axis replaced by the source."""
    axis %= len(x.shape)
    size = x.shape[axis]
    places = range(*slice(start, end, step).indices(size))
    if not places:
        return x
    if len(places) == size:
        return source
    if step == 1:
        ends = crop(g, x, [axis], [0], [places.start], [1]), crop(g, x, [axis], [places.stop], [size], [1])
        return cat(g, [part for part in (ends[0], source, ends[1]) if part.shape[axis]], axis)
    index = np.array(places, np.int64)
    inside = np.isin(np.arange(size), index).reshape(size, *(1,) * (len(x.shape) - axis - 1))
    return where(g, g.constant(inside), spread(g, source, axis, index, size), x)


@lowering("aten.select_scatter.default", family=_FAMILY)
def select_scatter(g: GraphBuilder, x: Value, source: Value, axis: int, index: int) -> Value:
    """X with one index of an axis replaced by the source."""
    axis %= len(x.shape)
    index %= x.shape[axis]
    return slice_scatter(g, x, unsqueeze(g, source, axis), axis, index, index + 1)


@lowering("aten.diagonal_scatter.default", family=_FAMILY)
def diagonal_scatter(g: GraphBuilder, x: Value, source: Value, offset: int = 0, first: int = 0, second: int = 1) -> Value:
    """X with the diagonal of two axes replaced by the source."""
    rows, columns = x.shape[first], x.shape[second]
    mask = np.eye(rows, columns, offset, dtype=np.bool_)
    shape = [rows if a == first % len(x.shape) else columns if a == second % len(x.shape) else 1 for a in range(len(x.shape))]
    inside = g.constant((mask if first % len(x.shape) < second % len(x.shape) else mask.T).reshape(shape))
    return where(g, inside, diagonal_backward(g, g.dense(source), x.shape, offset, first, second), x)
