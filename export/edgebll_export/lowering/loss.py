"""Negative log likelihood of class numbers, behind cross entropy. The other losses are traced in parts.

Nothing infinite is multiplied by 0: logits of -infinity, as a mask leaves them, count only where the target chooses them.
"""

from __future__ import annotations

import math

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import matches, ones_where
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import lift
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering_registry import lowering

_FAMILY = "loss"
_NONE, _MEAN = 0, 1
#: Elements from which picking by index beats a choice over all of x, which is one node where picking is four.
_PICKED_FROM = 1 << 15


def _hit(g: GraphBuilder, x: Value, target: Value, ignored: int) -> tuple[int, Value, Value]:
    """The axis of classes, the targets with that axis, and where x stands for them, unless they are to be ignored."""
    axis = min(1, len(x.shape) - 1)
    column = g.reshape(target, (*target.shape[:axis], 1, *target.shape[axis:]))
    return axis, column, matches(g, column, x.shape[axis], axis, ignored)


def _picked(g: GraphBuilder, x: Value, column: Value, axis: int, ignored: int) -> Value:
    """X at the targets, 0 where they are to be ignored."""
    skipped = g.elementwise("Equal", [column, lift(g, ignored, column)], dtype="bool")
    index = g.dense(where(g, skipped, 0, column))
    return where(g, skipped, 0.0, g.op("GatherElements", [x, index], column.shape, axis=axis))


def _weighted(g: GraphBuilder, x: Value, weight: Value | None, axis: int) -> Value:
    """X times the weight of each class."""
    if weight is None:
        return x
    return binary(g, "Mul", x, g.reshape(weight, (weight.shape[0], *(1,) * (len(x.shape) - axis - 1))))


@lowering("aten.nll_loss_forward.default", "aten.nll_loss2d_forward.default", family=_FAMILY)
def nll_loss(
    g: GraphBuilder, x: Value, target: Value, weight: Value | None, reduction: int, ignored: int
) -> tuple[Value, Value]:
    """-x at the target's class, weighted: each, their sum, or their sum over the weights' sum, and that sum of weights."""
    axis, column, hit = _hit(g, x, target, ignored)
    total = reduce(g, "ReduceSum", _weighted(g, ones_where(g, hit, x.dtype), weight, axis), None, False)
    picked = weight is None and not g.target.compact and math.prod(x.shape) > _PICKED_FROM
    chosen = _picked(g, x, column, axis, ignored) if picked else _weighted(g, where(g, hit, x, 0.0), weight, axis)
    losses = g.elementwise("Neg", [reduce(g, "ReduceSum", chosen, [axis] if reduction == _NONE else None, False)])
    return (binary(g, "Div", losses, total) if reduction == _MEAN else losses), total


@lowering("aten.nll_loss_backward.default", "aten.nll_loss2d_backward.default", family=_FAMILY)
def nll_loss_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    target: Value,
    weight: Value | None,
    reduction: int,
    ignored: int,
    total: Value,
) -> Value:
    """-grad at the target's class, weighted; 0 elsewhere, and everywhere if all targets are to be ignored."""
    axis, column, hit = _hit(g, x, target, ignored)
    if reduction == _NONE:
        scale = g.reshape(g.elementwise("Neg", [grad]), column.shape)
        return _weighted(g, where(g, hit, scale, 0.0), weight, axis)
    if reduction == _MEAN:
        least = 1.0 if weight is None else float(np.finfo(np.float16).tiny)
        grad = binary(g, "Div", grad, binary(g, "Max", total, least))
    return binary(g, "Mul", _weighted(g, ones_where(g, hit, x.dtype), weight, axis), g.elementwise("Neg", [grad]))
