"""Arithmetic, element by element."""

from __future__ import annotations

from dataclasses import replace

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.disjoint_sums import sum_of_parts
from edgebll_export.lowering.pointwise.promotion import (
    aligned,
    as_float,
    category,
    changes_nothing,
    common_type,
    computed_in,
    lift,
    to_copy,
)
from edgebll_export.lowering_registry import lowering

_FAMILY = "element-wise"
#: Largest whole power that is computed by squaring.
_MOST_PRODUCTS = 64
#: Arithmetic of truth values, which are 0 and 1.
_OF_TRUTH = {"Mul": "And", "Min": "And", "Add": "Or", "Max": "Or"}


def binary(g: GraphBuilder, operator: str, x: Value | float, y: Value | float) -> Value:
    """An arithmetic operator with PyTorch's promotion.

    Where the common dtype does not hold a number, as float16 does not hold 1e6, or has hardly any kernels, as uint8, it is
    computed in a wider one.
    """
    common = common_type(x, y)
    if common == "bool" and operator in _OF_TRUTH:
        return g.elementwise(_OF_TRUTH[operator], aligned(g, x, y))
    operands = aligned(g, x, y, dtype=computed_in(common, x, y))
    return to_copy(g, g.elementwise(operator, operands), common)


@lowering("aten.mul.Tensor", "aten.mul.Scalar", family=_FAMILY)
def mul(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """X * y."""
    return x if changes_nothing(x, y, 1.0) else binary(g, "Mul", x, y)


@lowering("aten.div.Tensor", "aten.div.Scalar", family=_FAMILY)
def div(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """X / y; integers divide as float32."""
    if category(common_type(x, y)) < 2:
        x, y = aligned(g, x, y, dtype="float32")
    return x if changes_nothing(x, y, 1.0) else binary(g, "Div", x, y)


@lowering("aten.add.Tensor", "aten.add.Scalar", family=_FAMILY)
def add(g: GraphBuilder, x: Value, y: Value | float, alpha: float = 1) -> Value:
    """X + alpha * y."""
    if changes_nothing(x, y, 0.0):
        return x
    if alpha != 1:
        y = mul(g, y, alpha) if isinstance(y, Value) else y * alpha
    joined = sum_of_parts(g, x, y) if isinstance(x, Value) and isinstance(y, Value) else None
    return joined or binary(g, "Add", x, y)


@lowering("aten.sub.Tensor", "aten.sub.Scalar", family=_FAMILY)
def sub(g: GraphBuilder, x: Value, y: Value | float, alpha: float = 1) -> Value:
    """X - alpha * y."""
    if changes_nothing(x, y, 0.0):
        return x
    if alpha != 1:
        y = mul(g, y, alpha) if isinstance(y, Value) else y * alpha
    return binary(g, "Sub", x, y)


@lowering("aten.rsub.Scalar", "aten.rsub.Tensor", family=_FAMILY)
def rsub(g: GraphBuilder, x: Value, y: Value | float, alpha: float = 1) -> Value:
    """Y - alpha * x."""
    return binary(g, "Sub", y, mul(g, x, alpha))


@lowering("aten.pow.Tensor_Scalar", family=_FAMILY)
def power(g: GraphBuilder, x: Value, exponent: float) -> Value:
    """X to a constant power; 1, 2, 1/2 and those of integers without Pow, which is slow or not to be had."""
    if category(x.dtype) < 2 and isinstance(exponent, int):
        return _integer_power(g, to_copy(g, x, common_type(x, exponent)), exponent)
    x = as_float(g, x)
    if exponent == 1:
        return x
    if exponent == 2:
        return binary(g, "Mul", x, x)
    if exponent == 0.5:
        return g.elementwise("Sqrt", [x])
    return _power_by_products(g, x, exponent) if g.target.compact else binary(g, "Pow", x, float(exponent))


def _power_by_products(g: GraphBuilder, x: Value, exponent: float) -> Value:
    """Whole powers and their halves by products and a root, others by the logarithm, which takes no negative x either."""
    whole, half = divmod(abs(exponent), 1)
    if half not in (0, 0.5) or whole > _MOST_PRODUCTS:
        return g.elementwise("Exp", [binary(g, "Mul", g.elementwise("Log", [x]), exponent)])
    result = _integer_power(g, x, int(whole))
    result = binary(g, "Mul", result, g.elementwise("Sqrt", [x])) if half else result
    return g.elementwise("Reciprocal", [result]) if exponent < 0 else result


def _integer_power(g: GraphBuilder, x: Value, exponent: int) -> Value:
    """By squaring; PyTorch has no negative powers of integers."""
    result, square = fill(g, x, 1), x
    while exponent:
        result = mul(g, result, square) if exponent % 2 else result
        square, exponent = (mul(g, square, square) if exponent > 1 else square), exponent // 2
    return result


def _unary(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.default", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value) -> Value:
        inside = "int32" if x.dtype == "bool" else computed_in(x.dtype)
        return to_copy(g, g.elementwise(operator, [to_copy(g, x, inside)]), x.dtype)

    lower.__doc__ = f"ONNX {operator}."


for _aten, _operator in {"neg": "Neg", "_neg_view": "Neg", "abs": "Abs", "sgn": "Sign", "sign": "Sign"}.items():
    _unary(_aten, _operator)


def _real(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.default", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value) -> Value:
        return g.elementwise(operator, [as_float(g, x)])

    lower.__doc__ = f"ONNX {operator}."


for _aten, _operator in {"sqrt": "Sqrt", "exp": "Exp", "log": "Log", "erf": "Erf"}.items():
    _real(_aten, _operator)


@lowering("aten.rsqrt.default", family=_FAMILY)
def rsqrt(g: GraphBuilder, x: Value) -> Value:
    """1 / sqrt(x)."""
    return g.elementwise("Reciprocal", [g.elementwise("Sqrt", [as_float(g, x)])])


@lowering("aten.reciprocal.default", family=_FAMILY)
def reciprocal(g: GraphBuilder, x: Value) -> Value:
    """1 / x."""
    return g.elementwise("Reciprocal", [as_float(g, x)])


@lowering("aten.maximum.default", family=_FAMILY)
def maximum(g: GraphBuilder, x: Value, y: Value) -> Value:
    """The larger of both."""
    return binary(g, "Max", x, y)


@lowering("aten.minimum.default", family=_FAMILY)
def minimum(g: GraphBuilder, x: Value, y: Value) -> Value:
    """The smaller of both."""
    return binary(g, "Min", x, y)


@lowering("aten.clamp.default", "aten.hardtanh.default", "aten.clamp_min.default", family=_FAMILY)
def clamp(g: GraphBuilder, x: Value, minimum: float | None = None, maximum: float | None = None) -> Value:
    """X limited to [minimum, maximum]; of integers by Max and Min, because TensorRT's Clip takes none."""
    if category(x.dtype) < 2:
        x = x if minimum is None else binary(g, "Max", x, minimum)
        return x if maximum is None else binary(g, "Min", x, maximum)
    bounds = [None if bound is None else lift(g, bound, x) for bound in (minimum, maximum)]
    (result,) = g.node("Clip", [x, *bounds], [(x.dtype, x.stored)])
    return Value(result.name, x.dtype, x.shape, x.stored)


@lowering("aten.fill.Scalar", "aten.fill.Tensor", family=_FAMILY)
def fill(g: GraphBuilder, x: Value, number: Value | float) -> Value:
    """The number in x's shape, stored once."""
    one = g.reshape(to_copy(g, lift(g, number, x), x.dtype), (1,) * len(x.shape))
    return replace(one, shape=x.shape)
