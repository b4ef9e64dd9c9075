"""Negative log likelihood of class numbers, behind cross entropy. The other losses are traced in parts."""

from __future__ import annotations

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.axis import hits
from edgebll_export.lowering.elementwise import binary
from edgebll_export.lowering.reduction import reduce
from edgebll_export.registry import lowering

_FAMILY = "loss"
_NONE, _MEAN = 0, 1


def _chosen(g: GraphBuilder, x: Value, target: Value, weight: Value | None, ignored: int) -> Value:
    """The class's weight (1 without weights) at the target's class, 0 elsewhere and where the target is to be ignored."""
    rank, axis = len(x.shape), min(1, len(x.shape) - 1)
    one_hot = hits(g, target, x.shape[axis], x.dtype, ignored)
    one_hot = g.transpose(one_hot, [*range(axis), rank - 1, *range(axis, rank - 1)])
    if weight is None:
        return one_hot
    return binary(g, "Mul", one_hot, g.reshape(weight, (weight.shape[0], *(1,) * (rank - axis - 1))))


@lowering("aten.nll_loss_forward.default", "aten.nll_loss2d_forward.default", family=_FAMILY)
def nll_loss(
    g: GraphBuilder, x: Value, target: Value, weight: Value | None, reduction: int, ignored: int
) -> tuple[Value, Value]:
    """-x at the target's class, weighted: each, their sum, or their sum over the weights' sum, and that sum of weights."""
    axis = min(1, len(x.shape) - 1)
    chosen = _chosen(g, x, target, weight, ignored)
    total = reduce(g, "ReduceSum", chosen, None, False)
    losses = g.elementwise("Neg", [reduce(g, "ReduceSum", binary(g, "Mul", x, chosen), [axis], False)])
    if reduction == _NONE:
        return losses, total
    summed = reduce(g, "ReduceSum", losses, None, False)
    return (binary(g, "Div", summed, total) if reduction == _MEAN else summed), total


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
    """-grad at the target's class, weighted."""
    axis = min(1, len(x.shape) - 1)
    scale = g.elementwise("Neg", [binary(g, "Div", grad, total) if reduction == _MEAN else grad])
    if reduction == _NONE:
        scale = g.reshape(scale, (*target.shape[:axis], 1, *target.shape[axis:]))
    return binary(g, "Mul", _chosen(g, x, target, weight, ignored), scale)
