"""Sums, means and maxima over axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.elementwise import binary, to_copy
from edgebll_export.registry import lowering

_FAMILY = "reduction"


def reduce(g: GraphBuilder, operator: str, x: Value, axes: Sequence[int] | None, keepdim: bool) -> Value:
    """ReduceSum, ReduceMean or ReduceMax over some axes (all if None or empty).

    Where x is broadcast along an axis, the sum is a product with the count and the others just drop the axis: nothing is
    expanded.
    """
    if x.dtype == "bool":  # counting
        x = to_copy(g, x, "int64")
    rank = len(x.shape)
    chosen = sorted({axis % rank for axis in axes} if axes else range(rank))
    kept = tuple(1 if axis in chosen else size for axis, size in enumerate(x.stored))
    shape = tuple(1 if axis in chosen else size for axis, size in enumerate(x.shape))
    result = x
    if kept != x.stored:
        real = [axis for axis in chosen if x.stored[axis] != 1]
        result = _node(g, operator, x, real, kept)
    if operator == "ReduceSum":
        repeats = math.prod(x.shape[axis] // x.stored[axis] for axis in chosen if x.stored[axis])
        if repeats != 1:
            result = binary(g, "Mul", replace(result, shape=result.stored), float(repeats))
    result = Value(result.name, x.dtype, shape, kept, result.constant)
    if keepdim:
        return result
    return g.reshape(result, tuple(size for axis, size in enumerate(shape) if axis not in chosen))


def _node(g: GraphBuilder, operator: str, x: Value, axes: list[int], kept: tuple[int, ...]) -> Value:
    if operator == "ReduceSum" or g.target.opset >= 18:  # its axes became an input in opset 13, the others' in 18
        return g.node(operator, [x, g.constant(np.array(axes, np.int64))], [(x.dtype, kept)], keepdims=1)[0]
    return g.node(operator, [x], [(x.dtype, kept)], axes=axes, keepdims=1)[0]


@lowering("aten.sum.dim_IntList", family=_FAMILY)
def sum_axes(g: GraphBuilder, x: Value, axes: Sequence[int] | None, keepdim: bool = False, **_: object) -> Value:
    """Sum over axes."""
    return reduce(g, "ReduceSum", x, axes, keepdim)


@lowering("aten.sum.default", family=_FAMILY)
def sum_all(g: GraphBuilder, x: Value, **_: object) -> Value:
    """Sum of all elements."""
    return reduce(g, "ReduceSum", x, None, False)


@lowering("aten.mean.dim", family=_FAMILY)
def mean_axes(g: GraphBuilder, x: Value, axes: Sequence[int] | None, keepdim: bool = False, **_: object) -> Value:
    """Mean over axes."""
    return reduce(g, "ReduceMean", x, axes, keepdim)


@lowering("aten.mean.default", family=_FAMILY)
def mean_all(g: GraphBuilder, x: Value, **_: object) -> Value:
    """Mean of all elements."""
    return reduce(g, "ReduceMean", x, None, False)


@lowering("aten.amax.default", family=_FAMILY)
def amax(g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """Largest element over axes."""
    return reduce(g, "ReduceMax", x, axes, keepdim)
