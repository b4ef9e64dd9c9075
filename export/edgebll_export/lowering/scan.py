"""Cumulative sums and products along an axis, and products of all elements."""

from __future__ import annotations

import numpy as np

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.axis import apply_matrix
from edgebll_export.lowering.elementwise import binary, to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import crop, pad
from edgebll_export.registry import lowering

_FAMILY = "reduction"


@lowering("aten.cumsum.default", family=_FAMILY)
def cumsum(g: GraphBuilder, x: Value, axis: int, *, dtype: str | None = None) -> Value:
    """Sums of the elements up to each position: a product with a triangular matrix of ones."""
    x = to_copy(g, x, dtype)
    if not x.shape:
        return x
    size = x.shape[axis]
    if np.dtype("float32" if x.dtype == "bfloat16" else x.dtype).kind == "f":
        return apply_matrix(g, x, axis, np.tri(size, dtype=np.float32))
    return to_copy(g, apply_matrix(g, to_copy(g, x, "float32"), axis, np.tri(size, dtype=np.float32)), x.dtype)


@lowering("aten.cumprod.default", family=_FAMILY)
def cumprod(g: GraphBuilder, x: Value, axis: int, *, dtype: str | None = None) -> Value:
    """Products of the elements up to each position, by doubling the reach log2(n) times."""
    x = to_copy(g, x, dtype)
    rank, size, reach = len(x.shape), x.shape[axis], 1
    while reach < size:
        earlier = crop(g, x, [axis % rank], [0], [size - reach], [1])
        before = [reach if place == axis % rank else 0 for place in range(rank)]
        x = binary(g, "Mul", x, pad(g, earlier, before, [0] * rank, 1.0))
        reach *= 2
    return x


@lowering("aten.prod.default", family=_FAMILY)
def prod_all(g: GraphBuilder, x: Value) -> Value:
    """Product of all elements."""
    return reduce(g, "ReduceProd", g.dense(x), None, False)


@lowering("aten.prod.dim_int", family=_FAMILY)
def prod_axis(g: GraphBuilder, x: Value, axis: int, keepdim: bool = False) -> Value:
    """Product along an axis."""
    return reduce(g, "ReduceProd", g.dense(x), [axis], keepdim)
