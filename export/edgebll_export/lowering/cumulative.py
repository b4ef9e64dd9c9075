"""Cumulative sums and products along an axis, and products of all elements."""

from __future__ import annotations

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import apply_matrix
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import category
from edgebll_export.lowering.reduction import reduce, summable
from edgebll_export.lowering.shape import crop, pad
from edgebll_export.lowering_registry import lowering

_FAMILY = "reduction"


@lowering("aten.cumsum.default", family=_FAMILY)
def cumsum(g: GraphBuilder, x: Value, axis: int, *, dtype: str | None = None) -> Value:
    """Sums of the elements up to each position.

    ONNX Runtime takes 79 us for 32 x 128 x 64 by CumSum and 692 us by a product with a triangular matrix of ones; TensorRT runs
    CumSum as a loop, so floats are a product there (in which infinity makes NaN of earlier sums too).
    """
    x = summable(g, x, dtype)
    if not x.shape:
        return x
    if (g.target.is_tensorrt or g.target.compact) and category(x.dtype) == 2:
        return apply_matrix(g, x, axis, np.tri(x.shape[axis], dtype=np.float32))
    return g.op("CumSum", [x, g.constant(np.array(axis % len(x.shape), np.int64))], x.shape)


@lowering("aten.cumprod.default", family=_FAMILY)
def cumprod(g: GraphBuilder, x: Value, axis: int, *, dtype: str | None = None) -> Value:
    """Products of the elements up to each position, by doubling the reach log2(n) times."""
    x = summable(g, x, dtype)
    if not x.shape:
        return x
    rank, size, reach = len(x.shape), x.shape[axis], 1
    while reach < size:
        earlier = crop(g, x, [axis % rank], [0], [size - reach], [1])
        before = [reach if place == axis % rank else 0 for place in range(rank)]
        x = binary(g, "Mul", x, pad(g, earlier, before, [0] * rank, 1.0))
        reach *= 2
    return x


@lowering("aten.prod.default", family=_FAMILY)
def prod_all(g: GraphBuilder, x: Value, *, dtype: str | None = None) -> Value:
    """Product of all elements."""
    return reduce(g, "ReduceProd", g.dense(summable(g, x, dtype)), None, False)


@lowering("aten.prod.dim_int", family=_FAMILY)
def prod_axis(g: GraphBuilder, x: Value, axis: int, keepdim: bool = False, *, dtype: str | None = None) -> Value:
    """Product along an axis."""
    return reduce(g, "ReduceProd", g.dense(summable(g, x, dtype)), [axis], keepdim)
