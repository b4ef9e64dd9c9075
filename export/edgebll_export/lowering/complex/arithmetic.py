"""Products, quotients, absolute values, exponentials and matrix products of complex numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.complex_value import Complex
from edgebll_export.lowering import linear
from edgebll_export.lowering.complex.structure import parts
from edgebll_export.lowering.pointwise.comparison import equal as equal_parts
from edgebll_export.lowering.pointwise.comparison import where
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import lift
from edgebll_export.lowering.trigonometry import atan2
from edgebll_export.lowering_registry import complex_lowering

Number = Value | Complex | float | complex
_Product = Callable[[GraphBuilder, Any, Any], Value]


def _times(g: GraphBuilder, x: Any, y: Any) -> Any:
    if isinstance(x, Value) or isinstance(y, Value):
        return binary(g, "Mul", x, y)
    return x * y


def _product(g: GraphBuilder, x: Number, y: Number, product: _Product) -> Complex:
    """(a + bi)(c + di) by a bilinear product; half as many where a factor is real."""
    x, y = (n.real if isinstance(n, complex) and not n.imag else n for n in (x, y))
    if not isinstance(x, (Complex, complex)):
        return Complex(*(product(g, x, part) for part in parts(g, y)))
    if not isinstance(y, (Complex, complex)):
        return Complex(*(product(g, part, y) for part in parts(g, x)))
    (a, b), (c, d) = parts(g, x), parts(g, y)
    real = binary(g, "Sub", product(g, a, c), product(g, b, d))
    return Complex(real, binary(g, "Add", product(g, a, d), product(g, b, c)))


@complex_lowering("aten.mul.Tensor", "aten.mul.Scalar")
def mul(g: GraphBuilder, x: Number, y: Number) -> Complex:
    """X * y."""
    return _product(g, x, y, _times)


@complex_lowering("aten.div.Tensor", "aten.div.Scalar")
def div(g: GraphBuilder, x: Number, y: Number) -> Complex:
    """X / y."""
    if isinstance(y, (int, float, complex)):
        return mul(g, x, 1 / y)
    if isinstance(y, Complex):
        return mul(g, x, reciprocal(g, y))
    return Complex(*(binary(g, "Div", part, y) for part in parts(g, x)))


@complex_lowering("aten.reciprocal.default")
def reciprocal(g: GraphBuilder, z: Complex) -> Complex:
    """1 / z = conj(z) / |z|^2."""
    squares = _squares(g, z)
    return Complex(binary(g, "Div", z.real, squares), binary(g, "Div", g.elementwise("Neg", [z.imag]), squares))


@complex_lowering("aten._conj.default", "aten._conj_physical.default", "aten.conj_physical.default")
def conj(g: GraphBuilder, z: Complex) -> Complex:
    """The imaginary part negated."""
    return Complex(z.real, g.elementwise("Neg", [z.imag]))


def _squares(g: GraphBuilder, z: Complex) -> Value:
    return binary(g, "Add", binary(g, "Mul", z.real, z.real), binary(g, "Mul", z.imag, z.imag))


@complex_lowering("aten.abs.default")
def absolute(g: GraphBuilder, z: Complex) -> Value:
    """Square root of the sum of the parts' squares."""
    return g.elementwise("Sqrt", [_squares(g, z)])


@complex_lowering("aten.sgn.default")
def sgn(g: GraphBuilder, z: Complex) -> Complex:
    """Z / |z|, 0 where z is 0."""
    size = absolute(g, z)
    safe = where(g, g.elementwise("Equal", [size, lift(g, 0.0, size)], dtype="bool"), 1.0, size)
    return Complex(binary(g, "Div", z.real, safe), binary(g, "Div", z.imag, safe))


@complex_lowering("aten.eq.Scalar", "aten.eq.Tensor")
def equal(g: GraphBuilder, x: Number, y: Number) -> Value:
    """Whether both parts are equal."""
    pairs = zip(parts(g, x), parts(g, y), strict=True)
    return g.elementwise("And", [equal_parts(g, *pair) for pair in pairs], dtype="bool")


@complex_lowering("aten.angle.default")
def angle(g: GraphBuilder, z: Complex) -> Value:
    """atan2 of the parts."""
    return atan2(g, z.imag, z.real)


@complex_lowering("aten.exp.default")
def exp(g: GraphBuilder, z: Complex) -> Complex:
    """exp(a) (cos b + i sin b)."""
    size = g.elementwise("Exp", [z.real])
    return Complex(*(binary(g, "Mul", size, g.elementwise(operator, [z.imag])) for operator in ("Cos", "Sin")))


@complex_lowering("aten.pow.Tensor_Scalar")
def power(g: GraphBuilder, z: Complex, exponent: float) -> Complex:
    """Z to the power of a small natural number, by products."""
    if exponent not in range(1, 9):
        raise ExportError(f"a complex number to the power {exponent} has no lowering; use torch.polar of its abs and angle")
    result = z
    for _ in range(int(exponent) - 1):
        result = mul(g, result, z)
    return result


def _matrices(aten: str, product: _Product) -> None:
    @complex_lowering(f"aten.{aten}.default")
    def lower(g: GraphBuilder, x: Number, y: Number) -> Complex:
        return _product(g, x, y, product)

    lower.__doc__ = "Four real products."


for _aten in ("mm", "bmm", "mv", "dot"):
    _matrices(_aten, getattr(linear, _aten))
