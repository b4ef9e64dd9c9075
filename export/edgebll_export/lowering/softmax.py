"""Softmax and log-softmax with their gradients."""

from __future__ import annotations

import math

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import lift, to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering_registry import lowering

_FAMILY = "softmax"


def _widened(g: GraphBuilder, x: Value, half_to_float: bool) -> Value:
    return to_copy(g, x, "float32") if half_to_float else x


def _over_axis(g: GraphBuilder, operator: str, x: Value, axis: int) -> Value:
    """Softmax or LogSoftmax; a vector or scalar as a matrix of one row, since TensorRT's parser takes no vector."""
    if len(x.shape) > 1:
        return g.op(operator, [x], x.shape, axis=axis)
    row = g.reshape(x, (1, math.prod(x.shape)))
    return g.reshape(g.op(operator, [row], row.shape, axis=-1), x.shape)


@lowering("aten._log_softmax.default", family=_FAMILY)
def log_softmax(g: GraphBuilder, x: Value, axis: int, half_to_float: bool) -> Value:
    """X - log sum exp x."""
    return _over_axis(g, "LogSoftmax", _widened(g, x, half_to_float), axis)


@lowering("aten._log_softmax_backward_data.default", family=_FAMILY)
def log_softmax_backward(g: GraphBuilder, grad: Value, y: Value, axis: int, dtype: str) -> Value:
    """Grad - exp(y) * sum(grad)."""
    total = reduce(g, "ReduceSum", grad, [axis], True)
    return to_copy(g, binary(g, "Sub", grad, binary(g, "Mul", g.elementwise("Exp", [y]), total)), dtype)


@lowering("aten._softmax.default", family=_FAMILY)
def softmax(g: GraphBuilder, x: Value, axis: int, half_to_float: bool) -> Value:
    """exp(x) / sum exp x."""
    return _over_axis(g, "Softmax", _widened(g, x, half_to_float), axis)


@lowering("aten._softmax_backward_data.default", family=_FAMILY)
def softmax_backward(g: GraphBuilder, grad: Value, y: Value, axis: int, dtype: str) -> Value:
    """Y * (grad - sum(grad * y))."""
    total = reduce(g, "ReduceSum", binary(g, "Mul", grad, y), [axis], True)
    return to_copy(g, binary(g, "Mul", y, binary(g, "Sub", grad, total)), dtype)


@lowering("aten._safe_softmax.default", family=_FAMILY)
def safe_softmax(g: GraphBuilder, x: Value, axis: int, dtype: str | None = None) -> Value:
    """Softmax where a row of -infinity alone gives zeros."""
    x = to_copy(g, x, dtype)
    return without_masked(g, softmax(g, x, axis, False), x)


def without_masked(g: GraphBuilder, weights: Value, scores: Value) -> Value:
    """Softmax weights, 0 where the scores are -infinity: in a row of nothing else they are NaN."""
    hidden = g.elementwise("Equal", [scores, lift(g, -math.inf, scores)], dtype="bool")
    return g.elementwise("Where", [hidden, lift(g, 0.0, weights), weights], dtype=weights.dtype)
