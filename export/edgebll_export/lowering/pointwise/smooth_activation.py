"""Activations made of exponentials: GELU, SiLU, Mish, softplus, log-sigmoid, and the piecewise linear stand-ins of two of them.

Forward and backward pass share what is expensive (erf, tanh, sigmoid): equal nodes are made once.
"""

from __future__ import annotations

import math

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.activation import sigmoid, step_mask
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering.pointwise.promotion import lift
from edgebll_export.lowering_registry import lowering

_FAMILY = "activation"
_CUBIC = 0.044715
#: Above, softplus(x) equals x to the last digit: exp(-x) / x is below half a unit in the last place.
_LINEAR_ABOVE = {"float32": 15.0, "float16": 8.0}


def _sum(g: GraphBuilder, x: Value | float, y: Value | float) -> Value:
    return binary(g, "Add", x, y)


def _difference(g: GraphBuilder, x: Value | float, y: Value | float) -> Value:
    return binary(g, "Sub", x, y)


def _product(g: GraphBuilder, *factors: Value) -> Value:
    result = factors[0]
    for factor in factors[1:]:
        result = binary(g, "Mul", result, factor)
    return result


def _one_plus_erf(g: GraphBuilder, x: Value) -> Value:
    """In the form in which ONNX Runtime recognises GELU and fuses it, where no gradient needs the parts."""
    if g.target.compact:
        return _sum(g, _shared_erf(g, x), 1.0)
    return _sum(g, g.elementwise("Erf", [binary(g, "Div", x, math.sqrt(2.0))]), 1.0)


def _shared_erf(g: GraphBuilder, x: Value) -> Value:
    return g.elementwise("Erf", [mul(g, x, math.sqrt(0.5))])


def _normal_share(g: GraphBuilder, x: Value) -> Value:
    """(1 + erf(x / sqrt 2)) / 2; the last two steps are the linear part of HardSigmoid, one pass over the tensor for two."""
    if g.target.compact:
        return mul(g, _one_plus_erf(g, x), 0.5)
    return g.elementwise("HardSigmoid", [_shared_erf(g, x)], alpha=0.5, beta=0.5)


def _tanh_of_cubic(g: GraphBuilder, x: Value, square: Value) -> Value:
    inner = _product(g, x, _sum(g, mul(g, square, _CUBIC), 1.0))
    return g.elementwise("Tanh", [mul(g, inner, math.sqrt(2.0 / math.pi))])


@lowering("aten.gelu.default", family=_FAMILY)
def gelu(g: GraphBuilder, x: Value, *, approximate: str = "none") -> Value:
    """X * (1 + erf(x / sqrt 2)) / 2, or with tanh(sqrt(2 / pi) (x + 0.044715 x^3)) in place of erf."""
    gate = _one_plus_erf(g, x) if approximate == "none" else _sum(g, _tanh_of_cubic(g, x, _product(g, x, x)), 1.0)
    return mul(g, _product(g, x, gate), 0.5)


@lowering("aten.gelu_backward.default", family=_FAMILY)
def gelu_backward(g: GraphBuilder, grad: Value, x: Value, *, approximate: str = "none") -> Value:
    """Gradient of gelu in the same approximation."""
    if approximate == "none":
        half = mul(g, x, -0.5)
        bell = _product(g, half, g.elementwise("Exp", [_product(g, half, x)]))
        return _product(g, grad, _sum(g, _normal_share(g, x), mul(g, bell, -2.0 / math.sqrt(2.0 * math.pi))))
    square = _product(g, x, x)
    tanh = _tanh_of_cubic(g, x, square)
    slope = _sum(g, mul(g, square, 3 * _CUBIC), 1.0)
    steep = mul(g, _product(g, x, slope, _difference(g, 1.0, _product(g, tanh, tanh))), math.sqrt(2.0 / math.pi))
    return _product(g, grad, mul(g, _sum(g, _sum(g, tanh, 1.0), steep), 0.5))


@lowering("aten.silu.default", family=_FAMILY)
def silu(g: GraphBuilder, x: Value) -> Value:
    """X * sigmoid(x)."""
    return _product(g, x, sigmoid(g, x))


@lowering("aten.silu_backward.default", family=_FAMILY)
def silu_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """Grad * s * (1 + x * (1 - s)) with s = sigmoid(x)."""
    gate = sigmoid(g, x)
    return _product(g, grad, gate, _sum(g, _product(g, x, _difference(g, 1.0, gate)), 1.0))


@lowering("aten.softplus.default", family=_FAMILY)
def softplus(g: GraphBuilder, x: Value, beta: float = 1, threshold: float = 20) -> Value:
    """log(1 + exp(beta x)) / beta, and x where beta x > threshold.

    ONNX Runtime's Softplus is exact for any x. Elsewhere exp must not overflow, so x is bounded before and the rest added.
    """
    scaled = mul(g, x, beta)
    bound = _LINEAR_ABOVE.get(x.dtype, 8.0)
    if g.target.is_tensorrt:
        bounded = g.elementwise("Min", [scaled, lift(g, bound, x)])
        excess = g.elementwise("Relu", [_difference(g, scaled, bound)])
        result = _sum(g, g.elementwise("Softplus", [bounded]), excess)
    else:
        result = g.elementwise("Softplus", [scaled])
    result = mul(g, result, 1.0 / beta)
    return result if threshold >= bound else where(g, _above(g, scaled, threshold), x, result)


@lowering("aten.softplus_backward.default", family=_FAMILY)
def softplus_backward(g: GraphBuilder, grad: Value, x: Value, beta: float, threshold: float) -> Value:
    """Grad * sigmoid(beta x), and grad where beta x > threshold."""
    scaled = mul(g, x, beta)
    result = _product(g, grad, sigmoid(g, scaled))
    return result if threshold >= 15 else where(g, _above(g, scaled, threshold), grad, result)


def _above(g: GraphBuilder, x: Value, threshold: float) -> Value:
    return g.elementwise("Greater", [x, lift(g, threshold, x)], dtype="bool")


@lowering("aten.log_sigmoid_forward.default", family=_FAMILY)
def log_sigmoid(g: GraphBuilder, x: Value) -> tuple[Value, None]:
    """-softplus(-x), without the logarithm of a sigmoid that is 0."""
    return g.elementwise("Neg", [softplus(g, g.elementwise("Neg", [x]))]), None


@lowering("aten.log_sigmoid_backward.default", family=_FAMILY)
def log_sigmoid_backward(g: GraphBuilder, grad: Value, x: Value, _buffer: None) -> Value:
    """Grad * sigmoid(-x)."""
    return _product(g, grad, sigmoid(g, g.elementwise("Neg", [x])))


@lowering("aten.mish.default", family=_FAMILY)
def mish(g: GraphBuilder, x: Value) -> Value:
    """X * tanh(softplus(x))."""
    return _product(g, x, g.elementwise("Tanh", [softplus(g, x)]))


@lowering("aten.mish_backward.default", family=_FAMILY)
def mish_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """Grad * (t + x * sigmoid(x) * (1 - t^2)) with t = tanh(softplus(x))."""
    tanh = g.elementwise("Tanh", [softplus(g, x)])
    steep = _product(g, x, sigmoid(g, x), _difference(g, 1.0, _product(g, tanh, tanh)))
    return _product(g, grad, _sum(g, tanh, steep))


@lowering("aten.hardsigmoid.default", family=_FAMILY)
def hard_sigmoid(g: GraphBuilder, x: Value) -> Value:
    """max(0, min(1, x / 6 + 1/2))."""
    return g.elementwise("HardSigmoid", [x], alpha=1 / 6, beta=0.5)


def _inside(g: GraphBuilder, x: Value) -> Value:
    """1.0 where |x| < 3."""
    return step_mask(g, _difference(g, 3.0, g.elementwise("Abs", [x])))


@lowering("aten.hardsigmoid_backward.default", family=_FAMILY)
def hard_sigmoid_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """Grad / 6 where |x| < 3."""
    return _product(g, grad, mul(g, _inside(g, x), 1 / 6))


@lowering("aten.hardswish.default", family=_FAMILY)
def hard_swish(g: GraphBuilder, x: Value) -> Value:
    """X * hard_sigmoid(x)."""
    return _product(g, x, hard_sigmoid(g, x))


@lowering("aten.hardswish_backward.default", family=_FAMILY)
def hard_swish_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """Grad * (hard_sigmoid(x) + x / 6 where |x| < 3)."""
    return _product(g, grad, _sum(g, hard_sigmoid(g, x), mul(g, _product(g, x, _inside(g, x)), 1 / 6)))
