"""Rounding to integers, and remainders."""

from __future__ import annotations

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary, div, mul
from edgebll_export.lowering.pointwise.promotion import category, common_type, lift, to_copy
from edgebll_export.lowering_registry import lowering

_FAMILY = "element-wise"


def _rounding(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.default", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value) -> Value:
        return x if category(x.dtype) < 2 else g.elementwise(operator, [x])

    lower.__doc__ = f"ONNX {operator}; integers stay."


for _aten, _operator in {"floor": "Floor", "ceil": "Ceil", "round": "Round"}.items():
    _rounding(_aten, _operator)


@lowering("aten.trunc.default", family=_FAMILY)
def trunc(g: GraphBuilder, x: Value) -> Value:
    """The integer next to x on the side of 0; integers stay."""
    if category(x.dtype) < 2:
        return x
    down, up = g.elementwise("Floor", [x]), g.elementwise("Ceil", [x])
    return where(g, g.elementwise("Less", [x, lift(g, 0.0, x)], dtype="bool"), up, down)


@lowering("aten.frac.default", family=_FAMILY)
def frac(g: GraphBuilder, x: Value) -> Value:
    """What `trunc` takes from x."""
    return binary(g, "Sub", x, trunc(g, x))


@lowering("aten.remainder.Scalar", "aten.remainder.Tensor", "aten.remainder.Scalar_Tensor", family=_FAMILY)
def remainder(g: GraphBuilder, x: Value | float, y: Value | float) -> Value:
    """X - y * floor(x / y), of y's sign; of integers by float32, exact up to 2^24."""
    whole = g.elementwise("Floor", [div(g, x, y)])  # type: ignore[arg-type]
    return _without(g, x, y, whole)


@lowering("aten.fmod.Scalar", "aten.fmod.Tensor", family=_FAMILY)
def fmod(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """X - y * trunc(x / y), of x's sign; of integers by float32, exact up to 2^24."""
    return _without(g, x, y, trunc(g, div(g, x, y)))


def _without(g: GraphBuilder, x: Value | float, y: Value | float, whole: Value) -> Value:
    rest = binary(g, "Sub", x, mul(g, whole, y))
    return to_copy(g, rest, common_type(x, y))


@lowering("aten.div.Tensor_mode", "aten.div.Scalar_mode", family=_FAMILY)
def div_rounded(g: GraphBuilder, x: Value, y: Value | float, *, rounding_mode: str | None = None) -> Value:
    """X / y, rounded down or towards 0; of integers by float32, exact up to 2^24."""
    quotient = div(g, x, y)
    if rounding_mode is None:
        return quotient
    whole = trunc(g, quotient) if rounding_mode == "trunc" else g.elementwise("Floor", [quotient])
    return to_copy(g, whole, common_type(x, y))


@lowering("aten.floor_divide.default", "aten.floor_divide.Scalar", family=_FAMILY)
def floor_divide(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """X / y rounded down."""
    return div_rounded(g, x, y, rounding_mode="floor")
