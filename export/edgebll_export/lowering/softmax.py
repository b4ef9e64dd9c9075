"""Softmax and log-softmax with their gradients."""

from __future__ import annotations

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.elementwise import binary
from edgebll_export.lowering.reduction import reduce
from edgebll_export.registry import lowering

_FAMILY = "softmax"


@lowering("aten._log_softmax.default", family=_FAMILY)
def log_softmax(g: GraphBuilder, x: Value, axis: int, _half_to_float: bool) -> Value:
    """X - log sum exp x."""
    return g.op("LogSoftmax", [x], x.shape, axis=axis)


@lowering("aten._log_softmax_backward_data.default", family=_FAMILY)
def log_softmax_backward(g: GraphBuilder, grad: Value, y: Value, axis: int, _dtype: str) -> Value:
    """Grad - exp(y) * sum(grad)."""
    total = reduce(g, "ReduceSum", grad, [axis], True)
    return binary(g, "Sub", grad, binary(g, "Mul", g.elementwise("Exp", [y]), total))


@lowering("aten._softmax.default", family=_FAMILY)
def softmax(g: GraphBuilder, x: Value, axis: int, _half_to_float: bool) -> Value:
    """exp(x) / sum exp x."""
    return g.op("Softmax", [x], x.shape, axis=axis)


@lowering("aten._softmax_backward_data.default", family=_FAMILY)
def softmax_backward(g: GraphBuilder, grad: Value, y: Value, axis: int, _dtype: str) -> Value:
    """Y * (grad - sum(grad * y))."""
    total = reduce(g, "ReduceSum", binary(g, "Mul", grad, y), [axis], True)
    return binary(g, "Mul", y, binary(g, "Sub", grad, total))
