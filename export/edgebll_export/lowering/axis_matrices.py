"""Linear maps along one axis, from which indexing, padding, upsampling and cumulative sums are made.

Scattering is not to be had on every target, so the adjoint of picking is either a picking of its own (each element goes to one
place at most) or a product with a matrix of zeros and ones.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import lift, to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import pad

Numbers = npt.NDArray[np.int64]


def apply_matrix(g: GraphBuilder, x: Value, axis: int, matrix: npt.NDArray[np.floating] | Value) -> Value:
    """Matrix (m, n) times x along an axis of size n."""
    axis %= len(x.shape)
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    factor = matrix if isinstance(matrix, Value) else g.constant(np.ascontiguousarray(matrix), x.dtype)
    rows = factor.shape[0]
    if math.prod(after) == 1:
        turned = g.transpose(factor, (1, 0))
        flat = g.reshape(x, (math.prod(before), x.shape[axis]))
        return g.reshape(g.op("MatMul", [flat, turned], (math.prod(before), rows)), (*before, rows, *after))
    if math.prod(before) == 1:
        flat = g.reshape(x, (x.shape[axis], math.prod(after)))
        return g.reshape(g.op("MatMul", [factor, flat], (rows, math.prod(after))), (*before, rows, *after))
    stacked = g.reshape(x, (math.prod(before), x.shape[axis], math.prod(after)))
    result = g.op("MatMul", [factor, stacked], (math.prod(before), rows, math.prod(after)))
    return g.reshape(result, (*before, rows, *after))


def pick(g: GraphBuilder, x: Value, axis: int, index: Numbers | Value) -> Value:
    """The elements of x at these positions along an axis; the index's axes replace it."""
    axis %= len(x.shape)
    positions = index if isinstance(index, Value) else g.constant(index)
    shape = (*x.shape[:axis], *positions.shape, *x.shape[axis + 1 :])
    return g.op("Gather", [x, positions], shape, axis=axis)


def spread(g: GraphBuilder, x: Value, axis: int, index: Numbers | Value, size: int) -> Value:
    """The adjoint of `pick` with a vector as index: element k is added at index[k] of `size` places, the others are 0.

    Positions outside 0 to size - 1 are left out.
    """
    axis %= len(x.shape)
    if isinstance(index, Value):
        if index.constant is None or index.is_broadcast:
            return apply_matrix(g, x, axis, g.transpose(hits(g, index, size, x.dtype), (1, 0)))
        index = index.constant
    inverse = _inverse(index, size)
    if inverse is None:
        return apply_matrix(g, x, axis, (np.arange(size)[:, None] == index[None, :]).astype(np.float32))
    if (inverse < len(index)).all():
        return pick(g, x, axis, inverse)
    after = [int(axis == place) for place in range(len(x.shape))]
    return pick(g, pad(g, x, [0] * len(x.shape), after), axis, inverse)


def _inverse(index: Numbers, size: int) -> Numbers | None:
    """For every place, which element goes there (len(index): none); None where two go to one place."""
    used = index[(index >= 0) & (index < size)]
    if len(np.unique(used)) < len(used):
        return None
    result = np.full(size, len(index), np.int64)
    for position, place in enumerate(index.tolist()):
        if 0 <= place < size:
            result[place] = position
    return result


def hits(g: GraphBuilder, index: Value, size: int, dtype: str, skip: int | None = None) -> Value:
    """One-hot rows (*index.shape, size): 1 where the index equals the position.

    Args:
        g: the graph.
        index: whole numbers of any shape.
        size: how many positions there are.
        dtype: of the result.
        skip: a position that nothing hits.
    """
    return ones_where(g, matches(g, g.reshape(index, (*index.shape, 1)), size, len(index.shape), skip), dtype)


def matches(g: GraphBuilder, column: Value, size: int, axis: int, skip: int | None = None) -> Value:
    """Where an index with 1 place along an axis equals the position there, of `size` positions; nothing hits `skip`."""
    positions = np.arange(size).reshape(-1, *(1,) * (len(column.shape) - axis - 1))
    if skip is not None and 0 <= skip < size:
        positions[skip] = -1
    if column.constant is not None and not column.is_broadcast:
        return g.constant(column.constant == positions)
    return g.elementwise("Equal", [column, g.constant(positions.astype(column.dtype))], dtype="bool")


def ones_where(g: GraphBuilder, mask: Value, dtype: str) -> Value:
    """Truth values as 0 and 1."""
    return to_copy(g, mask, dtype) if mask.constant is None else g.constant(mask.constant, dtype)


def last_hit(g: GraphBuilder, index: Value, size: int) -> tuple[Value, Value]:
    """For each of `size` places, which element of the index's last axis goes there last, and whether one does.

    (*lead, n) -> int64 (*lead, size), 0 where none does, and truth values (*lead, size).
    """
    count = index.shape[-1]
    if index.constant is not None and not index.is_broadcast:
        reached = (index.constant[..., None] == np.arange(size)) * np.arange(1, count + 1)[:, None]
        last = reached.max(-2, initial=0)
        return g.constant(np.maximum(last - 1, 0).astype(np.int64)), g.constant(last > 0)
    order = g.constant(np.arange(1, count + 1, dtype=np.float32)[:, None])
    reached = g.elementwise("Mul", [hits(g, index, size, "float32"), order])
    latest = reduce(g, "ReduceMax", reached, [-2], False)
    position = binary(g, "Max", binary(g, "Sub", latest, 1.0), 0.0)
    return to_copy(g, position, "int64"), g.elementwise("Greater", [latest, lift(g, 0.5, latest)], dtype="bool")
