"""Trigonometric functions, their inverses, and hyperbolic ones, element by element."""

from __future__ import annotations

import math

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import aligned, as_float, lift
from edgebll_export.lowering_registry import lowering

_FAMILY = "element-wise"


def _real(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.default", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value) -> Value:
        return g.elementwise(operator, [as_float(g, x)])

    lower.__doc__ = f"ONNX {operator}."


for _name in ("sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh"):
    _real(_name, _name.capitalize())


@lowering("aten.atan2.default", family=_FAMILY)
def atan2(g: GraphBuilder, y: Value, x: Value) -> Value:
    """Angle of the point (x, y), between -pi and pi; 0 at (0, 0)."""
    y, x = (as_float(g, value) for value in aligned(g, y, x))
    zero = lift(g, 0.0, x)
    upright = g.elementwise("Equal", [x, zero], dtype="bool")
    below, behind = (g.elementwise("Less", [value, zero], dtype="bool") for value in (y, x))
    half = where(g, below, lift(g, -math.pi, x), lift(g, math.pi, x))
    slope = g.elementwise("Atan", [binary(g, "Div", y, where(g, upright, lift(g, 1.0, x), x))])
    leaning = where(g, behind, binary(g, "Add", slope, half), slope)
    straight = where(g, g.elementwise("Equal", [y, zero], dtype="bool"), zero, binary(g, "Mul", half, 0.5))
    return where(g, upright, straight, leaning)
