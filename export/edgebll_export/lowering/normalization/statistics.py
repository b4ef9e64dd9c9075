"""Variance and standard deviation; their gradients are element-wise operators and means."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering_registry import lowering

_FAMILY = "reduction"


def _moments(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None, correction: float | None, keepdim: bool
) -> tuple[Value, Value]:
    """Variance and mean: in two passes, because the difference of two squares would cancel."""
    if not x.shape:
        return _moments(g, g.reshape(x, (1,)), None, correction, False)
    rank = len(x.shape)
    chosen = sorted({axis % rank for axis in axes} if axes else range(rank))
    count = math.prod(x.shape[axis] for axis in chosen)
    mean = reduce(g, "ReduceMean", x, chosen, True)
    centred = binary(g, "Sub", x, mean)
    var = reduce(g, "ReduceMean", binary(g, "Mul", centred, centred), chosen, keepdim)
    divisor = count - (1 if correction is None else correction)
    kept = tuple(size for axis, size in enumerate(x.shape) if axis not in chosen)
    return mul(g, var, count / divisor if divisor > 0 else math.nan), mean if keepdim else g.reshape(mean, kept)


@lowering("aten.var.correction", family=_FAMILY)
def var(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Value:
    """Sum of squared differences from the mean, divided by the count less the correction (1 by default)."""
    return _moments(g, x, axes, correction, keepdim)[0]


@lowering("aten.var_mean.correction", family=_FAMILY)
def var_mean(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    """Variance and mean."""
    return _moments(g, x, axes, correction, keepdim)


@lowering("aten.std.correction", family=_FAMILY)
def std(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> Value:
    """Square root of the variance."""
    return g.elementwise("Sqrt", [_moments(g, x, axes, correction, keepdim)[0]])


@lowering("aten.std_mean.correction", family=_FAMILY)
def std_mean(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, *, correction: float | None = None, keepdim: bool = False
) -> tuple[Value, Value]:
    """Standard deviation and mean."""
    variance, mean = _moments(g, x, axes, correction, keepdim)
    return g.elementwise("Sqrt", [variance]), mean
