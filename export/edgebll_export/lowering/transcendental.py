"""Exponentials, logarithms, powers and trigonometric functions, element by element."""

from __future__ import annotations

import math

import numpy as np

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.elementwise import binary, lift, mul, where
from edgebll_export.registry import lowering

_FAMILY = "element-wise"


def _unary(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.default", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value) -> Value:
        return g.elementwise(operator, [x])

    lower.__doc__ = f"ONNX {operator}."


for _aten, _operator in {"erf": "Erf", "sin": "Sin", "cos": "Cos", "floor": "Floor", "ceil": "Ceil", "sign": "Sign"}.items():
    _unary(_aten, _operator)


@lowering("aten.log1p.default", family=_FAMILY)
def log1p(g: GraphBuilder, x: Value) -> Value:
    """log(1 + x) to full relative precision: log(u) + (x - (u - 1)) / u with u = 1 + x as it is rounded.

    What rounding took from x comes back in the second term, so that 1e-10 gives 1e-10 and not 0; -1 gives -infinity.
    """
    rounded = binary(g, "Add", x, 1.0)
    lost = binary(g, "Sub", x, binary(g, "Sub", rounded, 1.0))
    divisor = g.elementwise("Max", [rounded, lift(g, float(np.finfo(np.float16).tiny), x)])
    return binary(g, "Add", g.elementwise("Log", [rounded]), binary(g, "Div", lost, divisor))


@lowering("aten.expm1.default", family=_FAMILY)
def expm1(g: GraphBuilder, x: Value) -> Value:
    """exp(x) - 1 to full relative precision: 2 t / (1 - t) with t = tanh(x / 2) where |x| < 1/2."""
    half = g.elementwise("Tanh", [mul(g, x, 0.5)])
    near = binary(g, "Div", binary(g, "Add", half, half), binary(g, "Sub", 1.0, half))
    far = binary(g, "Sub", g.elementwise("Exp", [x]), 1.0)
    small = g.elementwise("Less", [g.elementwise("Abs", [x]), lift(g, 0.5, x)], dtype="bool")
    return where(g, small, near, far)


@lowering("aten.log2.default", family=_FAMILY)
def log2(g: GraphBuilder, x: Value) -> Value:
    """log(x) / log(2)."""
    return mul(g, g.elementwise("Log", [x]), 1 / math.log(2))


@lowering("aten.log10.default", family=_FAMILY)
def log10(g: GraphBuilder, x: Value) -> Value:
    """log(x) / log(10)."""
    return mul(g, g.elementwise("Log", [x]), 1 / math.log(10))


@lowering("aten.exp2.default", family=_FAMILY)
def exp2(g: GraphBuilder, x: Value) -> Value:
    """2 to the power x."""
    return g.elementwise("Exp", [mul(g, x, math.log(2))])


@lowering("aten.pow.Tensor_Tensor", "aten.pow.Scalar", family=_FAMILY)
def power(g: GraphBuilder, x: Value | float, y: Value) -> Value:
    """X to the power y."""
    return binary(g, "Pow", x, y)


@lowering("aten.isnan.default", family=_FAMILY)
def isnan(g: GraphBuilder, x: Value) -> Value:
    """Whether x is not a number."""
    return g.elementwise("IsNaN", [x], dtype="bool")


@lowering("aten.xlogy.Tensor", family=_FAMILY)
def xlogy(g: GraphBuilder, x: Value, y: Value) -> Value:
    """X * log(y), 0 where x is 0."""
    zero = g.elementwise("Equal", [x, lift(g, 0.0, x)], dtype="bool")
    return where(g, zero, lift(g, 0.0, x), binary(g, "Mul", x, g.elementwise("Log", [y])))


@lowering("aten.clamp.Tensor", "aten.clamp_min.Tensor", family=_FAMILY)
def clamp_between(g: GraphBuilder, x: Value, minimum: Value | None = None, maximum: Value | None = None) -> Value:
    """X limited by tensors."""
    bounded = x if minimum is None else binary(g, "Max", x, minimum)
    return bounded if maximum is None else binary(g, "Min", bounded, maximum)
