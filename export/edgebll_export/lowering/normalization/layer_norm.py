"""Layer normalisation and its gradient; statistics in float32 also where x is in half precision.

RMS normalisation needs no lowering: PyTorch traces it as its element-wise operators and means.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.normalization.standardize import input_gradient, standardized, standardized_again
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering_registry import lowering

_FAMILY = "normalization"
_STATISTICS = "float32"


def _rows(g: GraphBuilder, x: Value, shape: Sequence[int]) -> Value:
    size = math.prod(shape)
    return g.reshape(to_copy(g, g.dense(x), _STATISTICS), (math.prod(x.shape) // size, size))


def _flat(g: GraphBuilder, vector: Value) -> Value:
    return g.reshape(to_copy(g, g.dense(vector), _STATISTICS), (math.prod(vector.shape),))


@lowering("aten.native_layer_norm.default", family=_FAMILY)
def layer_norm(
    g: GraphBuilder, x: Value, shape: Sequence[int], weight: Value | None, bias: Value | None, eps: float
) -> tuple[Value, Value | None, Value | None]:
    """Y = (x - mean) / sqrt(var + eps) * weight + bias over the last axes, whose sizes `shape` lists; mean and 1 / std."""
    if g.target.inference:
        return _one_operator(g, x, shape, weight, bias, eps), None, None
    rows = _rows(g, x, shape)
    lead = len(x.shape) - len(shape)
    y, mean, inverse_std = standardized(g, rows, eps, (*x.shape[:lead], *[1] * len(shape)))
    if weight is not None:
        y = binary(g, "Mul", y, _flat(g, weight))
    if bias is not None:
        y = binary(g, "Add", y, _flat(g, bias))
    return to_copy(g, g.reshape(y, x.shape), x.dtype), mean, inverse_std


def _one_operator(
    g: GraphBuilder, x: Value, shape: Sequence[int], weight: Value | None, bias: Value | None, eps: float
) -> Value:
    """Of opset 17 on; its statistics are float32 by themselves."""
    scale = g.constant(np.ones(tuple(shape), np.float32), x.dtype) if weight is None else weight
    vectors = [g.dense(scale), *([] if bias is None else [g.dense(bias)])]
    return g.op("LayerNormalization", [x, *vectors], x.shape, axis=-len(shape), epsilon=float(eps))


@lowering("aten.native_layer_norm_backward.default", family=_FAMILY)
def layer_norm_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    shape: Sequence[int],
    mean: Value,
    inverse_std: Value,
    weight: Value | None,
    bias: Value | None,
    mask: Sequence[bool],
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients of input, weight and bias."""
    dtype, inputs = x.dtype, x.shape
    rows, grad = _rows(g, x, shape), _rows(g, grad, shape)
    rows = standardized_again(g, rows, mean, inverse_std)
    product = binary(g, "Mul", grad, rows)
    dx = None
    if mask[0]:
        flat = g.reshape(inverse_std, (rows.shape[0],))
        weighted = grad if weight is None else binary(g, "Mul", grad, _flat(g, weight))
        first, second = reduce(g, "ReduceMean", weighted, [1], False), _weighted_means(g, product, weight)
        dx = to_copy(g, g.reshape(input_gradient(g, weighted, flat, rows, (flat, first, second)), inputs), dtype)
    dw = None if weight is None or not mask[1] else _summed(g, product, weight)
    db = None if bias is None or not mask[2] else _summed(g, grad, bias)
    return dx, dw, db


def _weighted_means(g: GraphBuilder, rows: Value, weight: Value | None) -> Value:
    """Mean of each row times the weight, (R)."""
    if weight is None:
        return reduce(g, "ReduceMean", rows, [1], False)
    if g.target.is_tensorrt:  # which fuses these two, but no narrow product
        return reduce(g, "ReduceMean", binary(g, "Mul", rows, _flat(g, weight)), [1], False)
    share = binary(g, "Mul", g.reshape(_flat(g, weight), (rows.shape[1], 1)), 1.0 / rows.shape[1])
    return g.reshape(g.op("MatMul", [rows, share], (rows.shape[0], 1)), (rows.shape[0],))


def _summed(g: GraphBuilder, rows: Value, like: Value) -> Value:
    """Sum over the rows, as a gradient of `like`."""
    return to_copy(g, g.reshape(reduce(g, "ReduceSum", rows, [0], False), like.shape), like.dtype)
