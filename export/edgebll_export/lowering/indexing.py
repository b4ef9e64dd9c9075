"""Embedding, gathering and indexing by integers, and their gradients as products with one-hot matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce as fold
from typing import Any

import numpy as np

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import hits, last_hit, pick, spread
from edgebll_export.lowering.linear import mm
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering.pointwise.promotion import lift, to_copy
from edgebll_export.lowering.shape import crop, pad
from edgebll_export.lowering_registry import lowering

_FAMILY = "indexing"


@lowering("aten.embedding.default", family=_FAMILY)
def embedding(g: GraphBuilder, table: Value, index: Value, *_: Any) -> Value:
    """Rows of the table (V, E) by integers (...): (..., E)."""
    return pick(g, table, 0, index)


@lowering("aten.embedding_dense_backward.default", family=_FAMILY)
def embedding_backward(g: GraphBuilder, grad: Value, index: Value, rows: int, padding: int, scale_by_frequency: bool) -> Value:
    """Gradient of the table: one-hot (V, N) times grad (N, E); the padding row's is 0."""
    if scale_by_frequency:
        raise ExportError("an embedding with scale_grad_by_freq has no lowering; leave the option out")
    count = math.prod(index.shape)
    flat = g.reshape(grad, (count, grad.shape[-1]))
    one_hot = hits(g, g.reshape(index, (count,)), rows, grad.dtype, padding)
    return mm(g, g.transpose(one_hot, (1, 0)), flat)


@lowering("aten.index_select.default", family=_FAMILY)
def index_select(g: GraphBuilder, x: Value, axis: int, index: Value) -> Value:
    """Entries along an axis."""
    return pick(g, x, axis, index)


@lowering("aten.index_add.default", family=_FAMILY)
def index_add(g: GraphBuilder, x: Value, axis: int, index: Value, source: Value, *, alpha: float = 1) -> Value:
    """X plus alpha times the source's entries at their positions along an axis."""
    return binary(g, "Add", x, mul(g, spread(g, source, axis, index, x.shape[axis]), alpha))


@lowering("aten.gather.default", family=_FAMILY)
def gather(g: GraphBuilder, x: Value, axis: int, index: Value, *, sparse_grad: bool = False) -> Value:
    """result[i][j][k] = x[i][index[i][j][k]][k] for axis 1."""
    return g.op("GatherElements", [x, index], index.shape, axis=axis % len(x.shape))


@lowering("aten.scatter_add.default", family=_FAMILY)
def scatter_add(g: GraphBuilder, x: Value, axis: int, index: Value, source: Value) -> Value:
    """X plus the source's elements at x[i][index[i][j][k]][k] for axis 1."""
    order, places, lead = _rows(x, axis, index)
    one_hot = hits(g, g.transpose(index, order), x.shape[order[-1]], source.dtype)
    row = g.reshape(_cut(g, source, index.shape, order), (*lead, 1, index.shape[order[-1]]))
    added = g.op("MatMul", [row, one_hot], (*lead, 1, x.shape[order[-1]]))
    return binary(g, "Add", x, _put_back(g, x, g.reshape(added, places), order))


@lowering("aten.scatter.src", "aten.scatter.value", family=_FAMILY)
def scatter(g: GraphBuilder, x: Value, axis: int, index: Value, source: Value | float) -> Value:
    """X with the source's elements at x[i][index[i][j][k]][k] for axis 1, the last where several meet."""
    if not x.shape:
        source = g.reshape(source, (1,)) if isinstance(source, Value) else source
        return g.reshape(scatter(g, g.reshape(x, (1,)), 0, g.reshape(index, (1,)), source), ())
    order, places, lead = _rows(x, axis, index)
    if index.shape[order[-1]] == 1 and math.prod(lead) * places[-1] == math.prod(x.shape):
        return _scatter_one(g, x, order[-1], index, source)
    last, covered = last_hit(g, g.transpose(index, order), x.shape[order[-1]])
    if isinstance(source, Value):
        found = g.op("GatherElements", [_cut(g, source, index.shape, order), last], places, axis=len(places) - 1)
        source = _put_back(g, x, found, order)
    return where(g, _put_back(g, x, covered, order), to_copy(g, lift(g, source, x), x.dtype), x)


def _scatter_one(g: GraphBuilder, x: Value, axis: int, index: Value, source: Value | float) -> Value:
    """Scatter of one element along the axis, as the gradient of a maximum is."""
    rank = len(x.shape)
    places = np.arange(x.shape[axis]).reshape(-1, *(1,) * (rank - axis - 1))
    hit = g.elementwise("Equal", [index, g.constant(places.astype(index.dtype))], dtype="bool")
    if isinstance(source, Value):
        source = _cut(g, source, index.shape, list(range(rank)))
    return where(g, hit, to_copy(g, lift(g, source, x), x.dtype), x)


def _rows(x: Value, axis: int, index: Value) -> tuple[list[int], tuple[int, ...], tuple[int, ...]]:
    """Axes with the indexed one last; the index's shape in that order with x's size along it; and without it."""
    axis %= len(x.shape)
    order = [*(a for a in range(len(x.shape)) if a != axis), axis]
    lead = tuple(index.shape[a] for a in order[:-1])
    return order, (*lead, x.shape[axis]), lead


def _cut(g: GraphBuilder, source: Value, shape: Sequence[int], order: Sequence[int]) -> Value:
    """The part of the source that the index is for, with the indexed axis last."""
    rank = len(shape)
    return g.transpose(crop(g, source, list(range(rank)), [0] * rank, list(shape), [1] * rank), order)


def _put_back(g: GraphBuilder, x: Value, rows: Value, order: Sequence[int]) -> Value:
    """Axes in x's order again; zeros where x is larger than the index."""
    turned = g.transpose(rows, [order.index(axis) for axis in range(len(order))])
    missing = [have - got for have, got in zip(x.shape, turned.shape, strict=True)]
    if turned.dtype != "bool" or not any(missing):
        return pad(g, turned, [0] * len(missing), missing)
    return to_copy(g, pad(g, to_copy(g, turned, "float32"), [0] * len(missing), missing), "bool")  # no Pad of truth values


@lowering("aten.index.Tensor", family=_FAMILY)
def index_tensor(g: GraphBuilder, x: Value, indices: Sequence[Value | None]) -> Value:
    """x[..., i, j, ...] by integer tensors on neighbouring axes, which broadcast to one shape."""
    axis, flat, index = _merged(g, x, indices)
    return pick(g, flat, axis, index)


@lowering("aten.index_put.default", family=_FAMILY)
def index_put(g: GraphBuilder, x: Value, indices: Sequence[Value | None], values: Value, accumulate: bool = False) -> Value:
    """X with values at x[..., i, j, ...], the last where several meet, or with them all added there.

    A truth mask takes values that are the same wherever it holds.
    """
    first = indices[0]
    if len(indices) == 1 and first is not None and first.dtype == "bool":
        free = len(x.shape) - len(first.shape)
        if math.prod(values.shape) == 1 or len(values.shape) <= free:
            mask = g.reshape(first, (*first.shape, *(1,) * free))
            number = g.reshape(values, ()) if math.prod(values.shape) == 1 else values
            return where(g, mask, binary(g, "Add", x, number) if accumulate else number, x)
    axis, flat, index = _merged(g, x, indices)
    size, places = flat.shape[axis], math.prod(index.shape)
    values = _broadcast(g, values, (*flat.shape[:axis], *index.shape, *flat.shape[axis + 1 :]))
    index = g.reshape(index, (places,))
    rows = (*flat.shape[:axis], places, *flat.shape[axis + 1 :])
    if accumulate:
        return binary(g, "Add", x, g.reshape(spread(g, g.reshape(g.dense(values), rows), axis, index, size), x.shape))
    last, covered = last_hit(g, index, size)
    if math.prod(values.stored) == 1:
        put = g.reshape(replace(values, shape=values.stored), ())
    else:
        put = pick(g, g.reshape(g.dense(values), rows), axis, last)
    mask = g.reshape(covered, (size, *(1,) * (len(flat.shape) - axis - 1)))
    return g.reshape(where(g, mask, put, flat), x.shape)


def _broadcast(g: GraphBuilder, x: Value, shape: Sequence[int]) -> Value:
    wide = g.reshape(x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    return replace(wide, shape=tuple(shape))


def _merged(g: GraphBuilder, x: Value, indices: Sequence[Value | None]) -> tuple[int, Value, Value]:
    """The first indexed axis, x with the indexed axes made one, and the index into that axis."""
    axes = [axis for axis, index in enumerate(indices) if index is not None]
    given = [index for index in indices if index is not None]
    if not axes or any(index.dtype == "bool" for index in given):
        raise ExportError("indexing by a truth mask has a shape that depends on the data; use torch.where")
    if axes != list(range(axes[0], axes[-1] + 1)):
        raise ExportError("indexing by tensors on axes that are not neighbours has no lowering; transpose before")
    sizes = [x.shape[axis] for axis in axes]
    flat = g.reshape(x, (*x.shape[: axes[0]], math.prod(sizes), *x.shape[axes[-1] + 1 :]))
    wrapped = [_wrapped(g, index, size) for index, size in zip(given, sizes, strict=True)]
    pairs = zip(wrapped[1:], sizes[1:], strict=True)
    index = fold(lambda total, pair: binary(g, "Add", mul(g, total, pair[1]), pair[0]), pairs, wrapped[0])
    return axes[0], flat, g.dense(index)


def _wrapped(g: GraphBuilder, index: Value, size: int) -> Value:
    """Negative positions counted from the end."""
    if index.constant is not None:
        return g.constant(np.broadcast_to(np.where(index.constant < 0, index.constant + size, index.constant), index.shape))
    negative = g.elementwise("Less", [index, lift(g, 0, index)], dtype="bool")
    return where(g, negative, binary(g, "Add", index, size), index)
