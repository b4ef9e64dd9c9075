"""Batch normalisation in training and evaluation mode, with its gradient.

PyTorch's own exporter turns training mode silently into evaluation mode. Here the batch statistics are computed, for ONNX
Runtime, by BatchNormalization with training_mode=1 and momentum 0, whose "running" outputs then are the batch's mean and
(biased) variance: one pass where separate operators take four. Other targets get those separate operators. Statistics are
float32 even where x is in half precision, as in PyTorch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import add, binary, mul
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import crop
from edgebll_export.lowering_registry import lowering

_FAMILY = "normalization"
_STATISTICS = "float32"


@lowering("aten.native_batch_norm.default", family=_FAMILY, writes=((3, 3), (4, 4)))
def batch_norm(
    g: GraphBuilder,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Value | None, ...]:
    """Y = (x - mean) / sqrt(var + eps) * weight + bias over all axes but the channel axis 1.

    Returns y, mean, 1 / sqrt(var + eps) and the running statistics afterwards: r' = (1 - momentum) r + momentum * batch, with
    the unbiased variance.
    """
    dtype, x = x.dtype, to_copy(g, x, _STATISTICS)
    channels = x.shape[1]
    scale, shift = _single(g, weight) or _filled(g, channels, 1.0), _single(g, bias) or _filled(g, channels, 0.0)
    if not training and running_mean is not None and running_var is not None:
        y = _by_running(g, x, (scale, shift), to_copy(g, running_mean, _STATISTICS), to_copy(g, running_var, _STATISTICS), eps)
        return to_copy(g, y, dtype), running_mean, _inverse_std(g, running_var, eps), running_mean, running_var
    if not g.target.batch_statistics:
        y, mean, var = _by_parts(g, x, scale, shift, eps)
    else:
        y, mean, var = _by_one_operator(g, x, scale, shift, (running_mean, running_var), eps)
    count = math.prod(x.shape) // channels
    new_mean = _moved(g, running_mean, mean, momentum)
    new_var = _moved(g, running_var, mul(g, var, count / max(1, count - 1)), momentum)
    return to_copy(g, y, dtype), mean, _inverse_std(g, var, eps), new_mean, new_var


def _by_running(g: GraphBuilder, x: Value, learnt: tuple[Value, Value], mean: Value, var: Value, eps: float) -> Value:
    """Evaluation mode, with running statistics."""
    if not g.target.compact:
        return g.op("BatchNormalization", [x, *learnt, mean, var], x.shape, epsilon=float(eps))
    shaped, (scale, shift) = _Channels(g, len(x.shape)), learnt
    centred = binary(g, "Sub", x, shaped.wide(mean))
    slope = binary(g, "Mul", scale, _inverse_std(g, var, eps))
    return binary(g, "Add", binary(g, "Mul", centred, shaped.wide(slope)), shaped.wide(shift))


def _single(g: GraphBuilder, vector: Value | None) -> Value | None:
    return None if vector is None else to_copy(g, vector, _STATISTICS)


def _by_one_operator(
    g: GraphBuilder, x: Value, scale: Value, shift: Value, running: tuple[Value | None, Value | None], eps: float
) -> tuple[Value, Value, Value]:
    """Training mode on ONNX Runtime: y, mean and biased variance."""
    # ONNX Runtime writes the two statistics over the inputs 3 and 4, so those must be tensors that nobody else reads, and no
    # constants. With momentum 0 their content does not matter; a factor of its own keeps each from being merged with another.
    mean, var = (_first_elements(g, x) if vector is None or vector.constant is not None else vector for vector in running)
    own = 1.0 + 2.0 * sum(node.op_type == "BatchNormalization" for node in g.nodes)
    overwritten = (binary(g, "Mul", mean, own + 1), binary(g, "Mul", var, own + 2))
    inputs = [g.dense(value) for value in (x, scale, shift, *overwritten)]
    outputs = [(x.dtype, x.shape), (x.dtype, scale.shape), (x.dtype, scale.shape)]
    y, mean, var = g.node("BatchNormalization", inputs, outputs, epsilon=float(eps), momentum=0.0, training_mode=1)
    return y, mean, var


def _first_elements(g: GraphBuilder, x: Value) -> Value:
    """Some vector with an element for each channel."""
    axes = [0, *range(2, len(x.shape))]
    return g.reshape(crop(g, g.dense(x), axes, [0] * len(axes), [1] * len(axes), [1] * len(axes)), (x.shape[1],))


def _by_parts(g: GraphBuilder, x: Value, scale: Value, shift: Value, eps: float) -> tuple[Value, Value, Value]:
    """Training mode by reductions and one affine pass: y, mean and biased variance."""
    shaped = _Channels(g, len(x.shape))
    channel_axes = [axis for axis in range(len(x.shape)) if axis != 1]
    mean = reduce(g, "ReduceMean", x, channel_axes, True)
    centred = binary(g, "Sub", x, mean)
    var = reduce(g, "ReduceMean", binary(g, "Mul", centred, centred), channel_axes, False)
    slope = binary(g, "Mul", scale, _inverse_std(g, var, eps))
    y = binary(g, "Add", binary(g, "Mul", centred, shaped.wide(slope)), shaped.wide(shift))
    return y, g.reshape(mean, (x.shape[1],)), var


def _filled(g: GraphBuilder, channels: int, number: float) -> Value:
    return g.constant(np.full(channels, number, np.float32))


def _inverse_std(g: GraphBuilder, var: Value, eps: float) -> Value:
    return g.elementwise("Reciprocal", [g.elementwise("Sqrt", [add(g, var, float(eps))])])


def _moved(g: GraphBuilder, running: Value | None, batch: Value, momentum: float) -> Value | None:
    if running is None:
        return None
    return to_copy(g, binary(g, "Add", mul(g, running, 1.0 - momentum), mul(g, batch, float(momentum))), running.dtype)


@dataclass(frozen=True)
class _Channels:
    """Moves per-channel vectors (C) to the shape that broadcasts against x."""

    builder: GraphBuilder
    rank: int

    def wide(self, vector: Value) -> Value:
        return self.builder.reshape(vector, (1, vector.shape[0], *[1] * (self.rank - 2)))


@lowering("aten.native_batch_norm_backward.default", family=_FAMILY)
def batch_norm_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    weight: Value | None,
    running_mean: Value | None,
    running_var: Value | None,
    mean: Value | None,
    inverse_std: Value | None,
    training: bool,
    eps: float,
    mask: list[bool],
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients of input, weight and bias.

    With s = weight / std, N elements a channel, xc = x - mean, db = sum grad and dw = sum(grad * xc) / std:
        dx = s * grad - s * db / N - xc * (s * dw / (N * std))          (in evaluation mode only the first term)
    """
    dtype, kind = x.dtype, x.dtype if weight is None else weight.dtype
    if not training:
        mean, inverse_std = running_mean, None if running_var is None else _inverse_std(g, running_var, eps)
    if mean is None or inverse_std is None:
        raise AssertionError("batch norm without statistics")
    x, grad, mean, inverse_std = (to_copy(g, g.dense(value), _STATISTICS) for value in (x, grad, mean, inverse_std))
    dx, dw, db = _gradients(g, grad, x, _single(g, weight), mean, inverse_std, training, mask[0])
    return None if dx is None else to_copy(g, dx, dtype), to_copy(g, dw, kind), to_copy(g, db, kind)


def _gradients(
    g: GraphBuilder, grad: Value, x: Value, weight: Value | None, mean: Value, inverse_std: Value, training: bool, wanted: bool
) -> tuple[Value | None, Value, Value]:
    """Gradients of input (where wanted), weight and bias, all in float32."""
    channels, channel_axes = x.shape[1], [axis for axis in range(len(x.shape)) if axis != 1]
    shaped = _Channels(g, len(x.shape))
    count = math.prod(x.shape) // channels
    centred = binary(g, "Sub", x, shaped.wide(mean))
    db = reduce(g, "ReduceSum", grad, channel_axes, False)
    dw = binary(g, "Mul", reduce(g, "ReduceSum", binary(g, "Mul", grad, centred), channel_axes, False), inverse_std)
    scale = inverse_std if weight is None else binary(g, "Mul", weight, inverse_std)
    if not wanted:
        return None, dw, db
    if not training:
        return binary(g, "Mul", grad, shaped.wide(scale)), dw, db
    shift = mul(g, binary(g, "Mul", scale, db), -1.0 / count)
    slope = mul(g, binary(g, "Mul", binary(g, "Mul", scale, inverse_std), dw), -1.0 / count)
    dx = binary(g, "Add", affine(g, grad, scale, shift), binary(g, "Mul", centred, shaped.wide(slope)))
    return dx, dw, db


def affine(g: GraphBuilder, x: Value, scale: Value, shift: Value) -> Value:
    """Scale * x + shift per channel of x (B, C, ...), in float32.

    On ONNX Runtime in the one pass of a BatchNormalization with mean 0 and variance 1.
    """
    channels = x.shape[1]
    if not g.target.batch_statistics:
        shaped = _Channels(g, len(x.shape))
        return binary(g, "Add", binary(g, "Mul", x, shaped.wide(scale)), shaped.wide(shift))
    zero, one = _filled(g, channels, 0.0), _filled(g, channels, 1.0)
    return g.op("BatchNormalization", [x, scale, shift, zero, one], x.shape, epsilon=0.0)
