"""Sums, means and maxima over axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import category, computed_in, to_copy
from edgebll_export.lowering_registry import lowering

_FAMILY = "reduction"


def reduce(g: GraphBuilder, operator: str, x: Value, axes: Sequence[int] | None, keepdim: bool) -> Value:
    """ReduceSum, ReduceMean or ReduceMax over some axes (all if None or empty).

    Where x is broadcast along an axis, the sum is a product with the count and the others just drop the axis: nothing is
    expanded. A scalar is its own sum, mean and maximum, over any axis.
    """
    if x.dtype == "bool":  # counting
        x = to_copy(g, x, "int64")
    rank = len(x.shape)
    if not rank:
        return x
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
            count = repeats if category(x.dtype) < 2 else float(repeats)
            result = binary(g, "Mul", replace(result, shape=result.stored), count)
    result = Value(result.name, x.dtype, shape, kept, result.constant)
    if keepdim:
        return result
    return g.reshape(result, tuple(size for axis, size in enumerate(shape) if axis not in chosen))


def _node(g: GraphBuilder, operator: str, x: Value, axes: list[int], kept: tuple[int, ...]) -> Value:
    if g.target.is_tensorrt and x.dtype in ("int32", "int64"):  # it reduces no integers; counts are exact up to 2^24
        return to_copy(g, _node(g, operator, to_copy(g, x, "float32"), axes, kept), x.dtype)
    if operator == "ReduceSum" or g.target.opset >= 18:  # its axes became an input in opset 13, the others' in 18
        return g.node(operator, [x, g.constant(np.array(axes, np.int64))], [(x.dtype, kept)], keepdims=1)[0]
    return g.node(operator, [x], [(x.dtype, kept)], axes=axes, keepdims=1)[0]


def summable(g: GraphBuilder, x: Value, dtype: str | None) -> Value:
    """What sums and products add up: x in the dtype asked for; else integers and truth values as int64, floats as they are."""
    return to_copy(g, x, dtype or ("int64" if category(x.dtype) < 2 else x.dtype))


@lowering("aten.sum.dim_IntList", family=_FAMILY)
def sum_axes(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None, keepdim: bool = False, *, dtype: str | None = None
) -> Value:
    """Sum over axes."""
    return reduce(g, "ReduceSum", summable(g, x, dtype), axes, keepdim)


@lowering("aten.sum.default", family=_FAMILY)
def sum_all(g: GraphBuilder, x: Value, *, dtype: str | None = None) -> Value:
    """Sum of all elements."""
    return sum_axes(g, x, None, dtype=dtype)


@lowering("aten.mean.dim", family=_FAMILY)
def mean_axes(
    g: GraphBuilder, x: Value, axes: Sequence[int] | None, keepdim: bool = False, *, dtype: str | None = None
) -> Value:
    """Mean over axes."""
    return reduce(g, "ReduceMean", to_copy(g, x, dtype), axes, keepdim)


@lowering("aten.mean.default", family=_FAMILY)
def mean_all(g: GraphBuilder, x: Value, *, dtype: str | None = None) -> Value:
    """Mean of all elements."""
    return mean_axes(g, x, None, dtype=dtype)


def _extreme(g: GraphBuilder, operator: str, x: Value, axes: Sequence[int] | None, keepdim: bool) -> Value:
    return to_copy(g, reduce(g, operator, to_copy(g, x, computed_in(x.dtype)), axes, keepdim), x.dtype)


@lowering("aten.amax.default", family=_FAMILY)
def amax(g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """Largest element over axes."""
    return _extreme(g, "ReduceMax", x, axes, keepdim)


@lowering("aten.amin.default", family=_FAMILY)
def amin(g: GraphBuilder, x: Value, axes: Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """Smallest element over axes."""
    return _extreme(g, "ReduceMin", x, axes, keepdim)


@lowering("aten.max.default", family=_FAMILY)
def max_all(g: GraphBuilder, x: Value) -> Value:
    """Largest element of all."""
    return _extreme(g, "ReduceMax", x, None, False)


@lowering("aten.min.default", family=_FAMILY)
def min_all(g: GraphBuilder, x: Value) -> Value:
    """Smallest element of all."""
    return _extreme(g, "ReduceMin", x, None, False)


@lowering("aten.max.dim", family=_FAMILY)
def max_axis(g: GraphBuilder, x: Value, axis: int, keepdim: bool = False) -> tuple[Value, Value]:
    """Largest element along an axis, and its position."""
    return _extreme(g, "ReduceMax", x, [axis], keepdim), argmax(g, x, axis, keepdim)


@lowering("aten.min.dim", family=_FAMILY)
def min_axis(g: GraphBuilder, x: Value, axis: int, keepdim: bool = False) -> tuple[Value, Value]:
    """Smallest element along an axis, and its position."""
    return _extreme(g, "ReduceMin", x, [axis], keepdim), argmin(g, x, axis, keepdim)


@lowering("aten.argmax.default", family=_FAMILY)
def argmax(g: GraphBuilder, x: Value, axis: int | None = None, keepdim: bool = False) -> Value:
    """Position of the first largest element along an axis, or in all elements."""
    return _position(g, "ArgMax", x, axis, keepdim)


@lowering("aten.argmin.default", family=_FAMILY)
def argmin(g: GraphBuilder, x: Value, axis: int | None = None, keepdim: bool = False) -> Value:
    """Position of the first smallest element along an axis, or in all elements."""
    return _position(g, "ArgMin", x, axis, keepdim)


def _position(g: GraphBuilder, operator: str, x: Value, axis: int | None, keepdim: bool) -> Value:
    if axis is None:
        found = _position(g, operator, g.reshape(x, (math.prod(x.shape),)), 0, False)
        return g.reshape(found, (1,) * len(x.shape)) if keepdim else found
    if not x.shape:
        return g.constant(np.array(0, np.int64))
    x = to_copy(g, x, "float32" if x.dtype == "bool" else computed_in(x.dtype))
    axis %= len(x.shape)
    if g.target.compact:
        return _first_place(g, operator.replace("Arg", "Reduce"), x, axis, keepdim)
    shape = (*x.shape[:axis], *((1,) if keepdim else ()), *x.shape[axis + 1 :])
    if len(x.shape) == 1:  # TensorRT's parser takes no vector
        found = g.op(operator, [g.reshape(x, (1, *x.shape))], (1, *shape), "int64", axis=1, keepdims=int(keepdim))
        return g.reshape(found, shape)
    return g.op(operator, [x], shape, "int64", axis=axis, keepdims=int(keepdim))


def _first_place(g: GraphBuilder, operator: str, x: Value, axis: int, keepdim: bool) -> Value:
    """The smallest of the places along an axis that hold its extreme, as a float."""
    size = x.shape[axis]
    places = np.arange(size, dtype=np.float32).reshape(-1, *[1] * (len(x.shape) - axis - 1))
    there = g.elementwise("Equal", [x, reduce(g, operator, x, [axis], True)], dtype="bool")
    held = g.elementwise("Where", [there, g.constant(places), g.constant(np.float32(size).item(), "float32")], dtype="float32")
    return reduce(g, "ReduceMin", held, [axis], keepdim)


@lowering("aten.any.dim", "aten.any.dims", family=_FAMILY)
def any_axes(g: GraphBuilder, x: Value, axes: int | Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """Whether some element is true or not 0."""
    return _truth(g, "ReduceMax", x, axes, keepdim)


@lowering("aten.any.default", family=_FAMILY)
def any_all(g: GraphBuilder, x: Value) -> Value:
    """Whether some element of all is true or not 0."""
    return _truth(g, "ReduceMax", x, None, False)


@lowering("aten.all.dim", "aten.all.dims", family=_FAMILY)
def all_axes(g: GraphBuilder, x: Value, axes: int | Sequence[int] | None = None, keepdim: bool = False) -> Value:
    """Whether every element is true or not 0."""
    return _truth(g, "ReduceMin", x, axes, keepdim)


@lowering("aten.all.default", family=_FAMILY)
def all_all(g: GraphBuilder, x: Value) -> Value:
    """Whether all elements are true or not 0."""
    return _truth(g, "ReduceMin", x, None, False)


def _truth(g: GraphBuilder, operator: str, x: Value, axes: int | Sequence[int] | None, keepdim: bool) -> Value:
    numbers = to_copy(g, to_copy(g, x, "bool"), "float32")
    return to_copy(g, reduce(g, operator, numbers, [axes] if isinstance(axes, int) else axes, keepdim), "bool")
