"""From real tensors to complex ones and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.complex_value import PARTS, Complex
from edgebll_export.lowering.complex.structure import parts
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.shape import expand, select, stack
from edgebll_export.lowering_registry import complex_lowering


@complex_lowering("aten.view_as_real.default")
def view_as_real(g: GraphBuilder, z: Complex) -> Value:
    """Both parts along a new last axis."""
    real, imag = (g.dense(part) for part in (z.real, z.imag))
    return stack(g, [real, imag], len(z.shape))


@complex_lowering("aten.view_as_complex.default")
def view_as_complex(g: GraphBuilder, x: Value) -> Complex:
    """The last axis, of size 2, as real and imaginary part."""
    return Complex(select(g, x, -1, 0), select(g, x, -1, 1))


@complex_lowering("aten.complex.default")
def complex_of(g: GraphBuilder, real: Value, imag: Value) -> Complex:
    """A complex tensor of its parts."""
    return Complex(*_alike(g, real, imag))


@complex_lowering("aten.polar.default")
def polar(g: GraphBuilder, size: Value, angle: Value) -> Complex:
    """Of absolute value and angle."""
    directions = (g.elementwise(operator, [angle]) for operator in ("Cos", "Sin"))
    return Complex(*(binary(g, "Mul", size, direction) for direction in directions))


@complex_lowering("aten._to_copy.default")
def to_dtype(g: GraphBuilder, x: Value | Complex, dtype: str | None = None, **_: Any) -> Value | Complex:
    """Conversion from real to complex, where the imaginary part is 0, and back, where it is lost."""
    real, imag = parts(g, x)
    if dtype is None:
        return x
    if dtype in PARTS:
        return Complex(to_copy(g, real, PARTS[dtype]), to_copy(g, imag, PARTS[dtype]))
    return to_copy(g, real, dtype)


def _alike(g: GraphBuilder, *parts_: Value) -> list[Value]:
    """Broadcast to one shape."""
    shape = np.broadcast_shapes(*(part.shape for part in parts_))
    return [expand(g, part, shape) for part in parts_]
