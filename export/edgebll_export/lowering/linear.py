"""Matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering.pointwise.promotion import aligned, category, computed_in, to_copy
from edgebll_export.lowering_registry import lowering

_FAMILY = "linear"


@lowering("aten.mm.default", family=_FAMILY)
def mm(g: GraphBuilder, a: Value, b: Value) -> Value:
    """A (M, K) times b (K, N); transposes of a and b become attributes of Gemm."""
    return _gemm(g, a, b, None)


@lowering("aten.addmm.default", family=_FAMILY)
def addmm(g: GraphBuilder, bias: Value, a: Value, b: Value, beta: float = 1, alpha: float = 1) -> Value:
    """Beta * bias + alpha * a b."""
    return _gemm(g, a, b, bias, alpha, beta)


def _gemm(g: GraphBuilder, a: Value, b: Value, bias: Value | None, alpha: float = 1, beta: float = 1) -> Value:
    shape = (a.shape[0], b.shape[1])
    if category(a.dtype) < 2:
        product = mul(g, _matmul(g, a, b, shape), alpha)
        return product if bias is None else binary(g, "Add", mul(g, bias, beta), product)
    left, left_transposed = _untransposed(g, g.dense(a))
    right, right_transposed = _untransposed(g, g.dense(b))
    if bias is None and not left_transposed and not right_transposed:
        return g.op("MatMul", [left, right], shape)
    inputs = [left, right] if bias is None else [left, right, bias]
    scales: dict[str, Any] = {} if bias is None else {"alpha": float(alpha), "beta": float(beta)}
    return g.op("Gemm", inputs, shape, transA=int(left_transposed), transB=int(right_transposed), **scales)


def _matmul(g: GraphBuilder, a: Value, b: Value, shape: Sequence[int]) -> Value:
    """MatMul; ONNX Runtime has no Gemm of integers, and MatMul of the wider ones only."""
    inside = computed_in(a.dtype)
    return to_copy(g, g.op("MatMul", aligned(g, a, b, dtype=inside), shape), a.dtype)


def _untransposed(g: GraphBuilder, x: Value) -> tuple[Value, bool]:
    source = g.transposed_from(x)
    return (x, False) if source is None else (source, True)


@lowering("aten.bmm.default", family=_FAMILY)
def bmm(g: GraphBuilder, a: Value, b: Value) -> Value:
    """A (B, M, K) times b (B, K, N); a matrix that all of the batch share is not repeated."""
    shape = (a.shape[0], a.shape[1], b.shape[2])
    shared = _shared(g, b)
    return _matmul(g, _shared(g, a) or a, b, shape) if shared is None else _matmul(g, a, shared, shape)


def _shared(g: GraphBuilder, x: Value) -> Value | None:
    """The matrix (M, N) of a batch (B, M, N) that is stored once."""
    if x.stored != (1, *x.shape[1:]) or x.shape[0] == 1:
        return None
    return g.reshape(replace(x, shape=x.stored), x.stored[1:])


@lowering("aten.baddbmm.default", family=_FAMILY)
def baddbmm(g: GraphBuilder, x: Value, a: Value, b: Value, *, beta: float = 1, alpha: float = 1) -> Value:
    """Beta * x + alpha * a b for batches of matrices."""
    return binary(g, "Add", mul(g, x, beta), mul(g, bmm(g, a, b), alpha))


@lowering("aten.mv.default", family=_FAMILY)
def mv(g: GraphBuilder, a: Value, v: Value) -> Value:
    """A (M, K) times v (K), as a matrix of one column: with a vector, ONNX Runtime's transpose fusion gives wrong results."""
    return g.reshape(_gemm(g, a, g.reshape(v, (v.shape[0], 1)), None), (a.shape[0],))


@lowering("aten.dot.default", "aten.vdot.default", family=_FAMILY)
def dot(g: GraphBuilder, x: Value, y: Value) -> Value:
    """Sum of products of two vectors."""
    inside = computed_in(x.dtype)
    product = g.dense(binary(g, "Mul", *aligned(g, x, y, dtype=inside)))
    return to_copy(g, g.op("ReduceSum", [product], (), keepdims=0), x.dtype)
