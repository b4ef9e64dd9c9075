"""Exponentials, logarithms, powers and trigonometric functions, element by element."""

from __future__ import annotations

import math

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering.pointwise.promotion import aligned, as_float, lift
from edgebll_export.lowering_registry import lowering

_FAMILY = "element-wise"
#: Finite numbers of each dtype from which 1 makes no difference.
_LARGEST = {"float16": 6.5e4, "float32": 3e38, "bfloat16": 3e38, "float64": 1e308}


@lowering("aten.log1p.default", family=_FAMILY)
def log1p(g: GraphBuilder, x: Value) -> Value:
    """log(1 + x) to full relative precision: log(u) + (x - (u - 1)) / u with u = 1 + x as it is rounded.

    What rounding took from x comes back in the second term, so that 1e-10 gives 1e-10 and not 0; -1 gives -infinity, and
    infinity infinity, because x and u are bounded in the second term.
    """
    x = as_float(g, x)
    largest = lift(g, _LARGEST.get(x.dtype, _LARGEST["float32"]), x)
    rounded = binary(g, "Add", x, 1.0)
    divisor = g.elementwise("Clip", [rounded, lift(g, float(np.finfo(np.float16).tiny), x), largest])
    lost = binary(g, "Sub", g.elementwise("Min", [x, largest]), binary(g, "Sub", divisor, 1.0))
    return binary(g, "Add", g.elementwise("Log", [rounded]), binary(g, "Div", lost, divisor))


@lowering("aten.expm1.default", family=_FAMILY)
def expm1(g: GraphBuilder, x: Value) -> Value:
    """exp(x) - 1 to full relative precision: 2 t / (1 - t) with t = tanh(x / 2) where |x| < 1/2."""
    x = as_float(g, x)
    half = g.elementwise("Tanh", [mul(g, x, 0.5)])
    near = binary(g, "Div", binary(g, "Add", half, half), binary(g, "Sub", 1.0, half))
    far = binary(g, "Sub", g.elementwise("Exp", [x]), 1.0)
    small = g.elementwise("Less", [g.elementwise("Abs", [x]), lift(g, 0.5, x)], dtype="bool")
    return where(g, small, near, far)


@lowering("aten.log2.default", family=_FAMILY)
def log2(g: GraphBuilder, x: Value) -> Value:
    """log(x) / log(2)."""
    return mul(g, g.elementwise("Log", [as_float(g, x)]), 1 / math.log(2))


@lowering("aten.log10.default", family=_FAMILY)
def log10(g: GraphBuilder, x: Value) -> Value:
    """log(x) / log(10)."""
    return mul(g, g.elementwise("Log", [as_float(g, x)]), 1 / math.log(10))


@lowering("aten.exp2.default", family=_FAMILY)
def exp2(g: GraphBuilder, x: Value) -> Value:
    """2 to the power x."""
    return g.elementwise("Exp", [mul(g, x, math.log(2))])


@lowering("aten.pow.Tensor_Tensor", "aten.pow.Scalar", family=_FAMILY)
def power(g: GraphBuilder, x: Value | float, y: Value) -> Value:
    """X to the power y."""
    if g.target.compact and not isinstance(x, Value) and x > 0:
        return g.elementwise("Exp", [binary(g, "Mul", as_float(g, y), math.log(x))])
    return binary(g, "Pow", x, y)


@lowering("aten.isnan.default", family=_FAMILY)
def isnan(g: GraphBuilder, x: Value) -> Value:
    """Whether x is not a number."""
    return g.elementwise("IsNaN", [as_float(g, x)], dtype="bool")


@lowering("aten.xlogy.Tensor", family=_FAMILY)
def xlogy(g: GraphBuilder, x: Value, y: Value) -> Value:
    """X * log(y), 0 where x is 0."""
    x, y = (as_float(g, value) for value in aligned(g, x, y))
    zero = g.elementwise("Equal", [x, lift(g, 0.0, x)], dtype="bool")
    return where(g, zero, lift(g, 0.0, x), binary(g, "Mul", x, g.elementwise("Log", [y])))


@lowering("aten.clamp.Tensor", "aten.clamp_min.Tensor", family=_FAMILY)
def clamp_between(g: GraphBuilder, x: Value, minimum: Value | None = None, maximum: Value | None = None) -> Value:
    """X limited by tensors."""
    bounded = x if minimum is None else binary(g, "Max", x, minimum)
    return bounded if maximum is None else binary(g, "Min", bounded, maximum)
