"""Embedding, gathering and indexing by integers, and their gradients as products with one-hot matrices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce as fold
from typing import Any

import numpy as np

from edgebll.errors import ExportError
from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.axis import apply_matrix, hits, pick, spread
from edgebll_export.lowering.elementwise import binary, lift, mul, to_copy, where
from edgebll_export.lowering.linear import mm
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import crop, pad
from edgebll_export.registry import lowering

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
    added, _ = _scattered(g, x, axis, index, source)
    return binary(g, "Add", x, added)


@lowering("aten.scatter.src", "aten.scatter.value", family=_FAMILY)
def scatter(g: GraphBuilder, x: Value, axis: int, index: Value, source: Value | float) -> Value:
    """X with the source's elements at x[i][index[i][j][k]][k] for axis 1; no position may occur twice."""
    if not isinstance(source, Value):
        source = g.constant(np.full(index.shape, source, "float32"), x.dtype)
    if x.dtype == "bool":
        source = to_copy(g, source, "float32")
    added, covered = _scattered(g, x, axis, index, source)
    return where(g, g.elementwise("Greater", [covered, lift(g, 0.5, covered)], dtype="bool"), to_copy(g, added, x.dtype), x)


def _scattered(g: GraphBuilder, x: Value, axis: int, index: Value, source: Value) -> tuple[Value, Value]:
    """The source in the places of x, and how many elements fell into each."""
    rank = len(x.shape)
    axis %= rank
    source = crop(g, source, list(range(rank)), [0] * rank, list(index.shape), [1] * rank)
    order = [*(a for a in range(rank) if a != axis), axis]
    lead = tuple(index.shape[a] for a in order[:-1])
    one_hot = hits(g, g.transpose(index, order), x.shape[axis], source.dtype)
    row = g.reshape(g.transpose(source, order), (*lead, 1, index.shape[axis]))
    added = g.reshape(g.op("MatMul", [row, one_hot], (*lead, 1, x.shape[axis])), (*lead, x.shape[axis]))
    covered = reduce(g, "ReduceSum", one_hot, [-2], False)
    back = [order.index(a) for a in range(rank)]
    missing = [have - got for have, got in zip(x.shape, (g.transpose(added, back)).shape, strict=True)]
    placed, counted = (pad(g, g.transpose(value, back), [0] * rank, missing) for value in (added, covered))
    return placed, counted


@lowering("aten.index.Tensor", family=_FAMILY)
def index_tensor(g: GraphBuilder, x: Value, indices: Sequence[Value | None]) -> Value:
    """x[..., i, j, ...] by integer tensors on neighbouring axes, which broadcast to one shape."""
    axis, flat, index = _merged(g, x, indices)
    return pick(g, flat, axis, index)


@lowering("aten.index_put.default", family=_FAMILY)
def index_put(g: GraphBuilder, x: Value, indices: Sequence[Value | None], values: Value, accumulate: bool = False) -> Value:
    """X with values at x[..., i, j, ...], or with them added there; a truth mask takes one value for all."""
    first = indices[0]
    if len(indices) == 1 and first is not None and first.dtype == "bool" and math.prod(values.shape) == 1:
        mask = g.reshape(first, (*first.shape, *(1,) * (len(x.shape) - len(first.shape))))
        return where(g, mask, g.reshape(values, (1,) * len(x.shape)), x)
    axis, flat, index = _merged(g, x, indices)
    size, places = flat.shape[axis], math.prod(index.shape)
    shape = (*flat.shape[:axis], *index.shape, *flat.shape[axis + 1 :])
    values = g.dense(_broadcast(g, values, shape))
    rows = g.reshape(values, (*flat.shape[:axis], places, *flat.shape[axis + 1 :]))
    index = g.reshape(index, (places,))
    put = g.reshape(spread(g, rows, axis, index, size), x.shape)
    if accumulate:
        return binary(g, "Add", x, put)
    ones = g.constant(np.ones((places, 1), np.float32), x.dtype)
    covered = apply_matrix(g, ones, 0, g.transpose(hits(g, index, size, x.dtype), (1, 0)))
    free = (size, *(1,) * (len(flat.shape) - axis - 1))
    mask = g.elementwise("Greater", [g.reshape(covered, free), lift(g, 0.5, covered)], dtype="bool")
    return g.reshape(where(g, mask, g.reshape(put, flat.shape), flat), x.shape)


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
        return g.constant(np.where(index.constant < 0, index.constant + size, index.constant))
    negative = g.elementwise("Less", [index, lift(g, 0, index)], dtype="bool")
    return where(g, negative, binary(g, "Add", index, size), index)
