"""Scaled dot-product attention and its gradient: four matrix products back, none of the forward pass computed again.

    S = scale Q K^T + mask      P = softmax(S)      O = P V
    dV = P^T dO      dP = dO V^T      dS = P (dP - sum(dO O))      dQ = scale dS K      dK = dS^T (scale Q)

PyTorch's fused kernel keeps only O and the sums of exponentials and computes P again in the backward pass; in a graph, P is
there already.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.softmax import softmax, without_masked
from edgebll_export.lowering_registry import lowering

_FAMILY = "attention"
_EXACT = "float32"


def _swapped(g: GraphBuilder, x: Value) -> Value:
    """The last two axes swapped."""
    return g.transpose(x, [*range(len(x.shape) - 2), len(x.shape) - 1, len(x.shape) - 2])


def _product(g: GraphBuilder, a: Value, b: Value) -> Value:
    return g.op("MatMul", [a, b], (*a.shape[:-1], b.shape[-1]))


def _scaled(g: GraphBuilder, query: Value, scale: float | None) -> Value:
    return mul(g, query, 1.0 / math.sqrt(query.shape[-1]) if scale is None else float(scale))


def _weights(
    g: GraphBuilder, query: Value, key: Value, is_causal: bool, mask: Value | None, scale: float | None, dropout: float
) -> Value:
    """P (B, H, L, S); the softmax is computed in float32, as PyTorch's kernel does."""
    if dropout:
        raise ExportError("attention with dropout cannot be in a graph; set it to 0 (edgebll.learning.SeededDropout can)")
    scores = to_copy(g, _product(g, _scaled(g, query, scale), _swapped(g, key)), _EXACT)
    if is_causal:
        later = np.triu(np.full(scores.shape[-2:], -np.inf, np.float32), 1)
        scores = binary(g, "Add", scores, g.constant(later))
    if mask is None:
        return to_copy(g, softmax(g, scores, -1, False), query.dtype)
    mask = to_copy(g, mask, _EXACT)
    weights = softmax(g, binary(g, "Add", scores, mask), -1, False)
    if mask.constant is None or bool(np.isneginf(mask.constant).all(-1).any()):
        weights = without_masked(g, weights, mask)
    return to_copy(g, weights, query.dtype)


def _for_heads(g: GraphBuilder, x: Value, heads: int) -> Value:
    """Keys or values (B, G, S, E) repeated so that each of the query's heads has its own (grouped-query attention)."""
    batch, groups, length, size = x.shape
    if groups == heads:
        return x
    apart = replace(g.reshape(x, (batch, groups, 1, length, size)), shape=(batch, groups, heads // groups, length, size))
    return g.reshape(apart, (batch, heads, length, size))


def _of_heads(g: GraphBuilder, grad: Value, groups: int) -> Value:
    """The adjoint of `_for_heads`."""
    batch, heads, length, size = grad.shape
    if groups == heads:
        return grad
    apart = g.reshape(grad, (batch, groups, heads // groups, length, size))
    return reduce(g, "ReduceSum", apart, [2], False)


@lowering("aten._scaled_dot_product_flash_attention_for_cpu.default", family=_FAMILY)
def attention(
    g: GraphBuilder,
    query: Value,
    key: Value,
    value: Value,
    dropout: float = 0.0,
    is_causal: bool = False,
    *,
    attn_mask: Value | None = None,
    scale: float | None = None,
) -> tuple[Value, None]:
    """softmax(scale Q K^T + mask) V for (B, H, L, E), (B, H, S, E), (B, H, S, E); rows whose keys are all masked give 0.

    Keys and values may have fewer heads, each for a group of the query's.
    """
    key, value = (_for_heads(g, x, query.shape[1]) for x in (key, value))
    weights = _weights(g, query, key, is_causal, attn_mask, scale, dropout)
    return _product(g, weights, value), None


@lowering("aten._scaled_dot_product_flash_attention_for_cpu_backward.default", family=_FAMILY)
def attention_backward(
    g: GraphBuilder,
    grad: Value,
    query: Value,
    key: Value,
    value: Value,
    out: Value,
    _logsumexp: None,
    dropout: float,
    is_causal: bool,
    *,
    attn_mask: Value | None = None,
    scale: float | None = None,
) -> tuple[Value, Value, Value]:
    """dQ, dK, dV."""
    groups = key.shape[1]
    key, value = (_for_heads(g, x, query.shape[1]) for x in (key, value))
    weights = _weights(g, query, key, is_causal, attn_mask, scale, dropout)
    pull = _product(g, grad, _swapped(g, value))
    centre = reduce(g, "ReduceSum", binary(g, "Mul", g.dense(grad), out), [-1], True)
    d_scores = binary(g, "Mul", weights, binary(g, "Sub", pull, centre))
    d_query = _scaled(g, _product(g, d_scores, key), scale)
    d_key = _product(g, _swapped(g, d_scores), _scaled(g, query, scale))
    d_value = _product(g, _swapped(g, weights), grad)
    return d_query, _of_heads(g, d_key, groups), _of_heads(g, d_value, groups)
