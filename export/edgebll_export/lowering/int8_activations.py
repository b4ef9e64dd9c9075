"""Operators of `edgebll.learning.int8`: a scale by plain arithmetic, and QuantizeLinear with that scale.

They are of our own steps, so they are in a table beside that of users' operators.
"""

from __future__ import annotations

import numpy as np

from edgebll.learning.int8.operators import LEAST, UNITS
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering_registry import Lowering

_FAMILY = "int8"
#: A float times this, less the float, taken from itself: all but its first binary digit is rounded away.
_SPLIT = 2.0**23 + 1


def int8_scale(g: GraphBuilder, x: Value) -> Value:
    """The smallest power of two s with |x| <= 127 s.

    With m the largest |x|, h = c - (c - m) for c = (2^23 + 1) m is m rounded to one binary digit (T. J. Dekker 1971, doi
    10.1007/BF01397083, section 5), so that s is h / 128 or h / 64. All but the first product is exact.
    """
    magnitudes = g.elementwise("Abs", [x])
    largest = g.op("ReduceMax", [magnitudes], (), keepdims=0) if x.shape else magnitudes
    largest = g.elementwise("Max", [largest, _number(g, LEAST)])
    spread = g.elementwise("Mul", [largest, _number(g, _SPLIT)])
    rounded = g.elementwise("Sub", [spread, g.elementwise("Sub", [spread, largest])])
    is_more = g.elementwise("Greater", [largest, g.elementwise("Mul", [rounded, _number(g, UNITS / 128)])], dtype="bool")
    two, one = (g.elementwise("Mul", [rounded, _number(g, 1 / units)]) for units in (64, 128))
    return g.op("Where", [is_more, two, one], (), dtype="float32")


def to_int8(g: GraphBuilder, x: Value, scale: Value) -> Value:
    """ONNX QuantizeLinear without a zero point of its own."""
    return g.op("QuantizeLinear", [x, scale, g.constant(np.zeros((), np.int8))], x.shape, dtype="int8")


def from_int8(g: GraphBuilder, numbers: Value, scale: Value) -> Value:
    """ONNX DequantizeLinear."""
    zero = g.constant(np.zeros((), np.int8))
    return g.op("DequantizeLinear", [numbers, scale, zero], numbers.shape, dtype="float32")


def _number(g: GraphBuilder, value: float) -> Value:
    return g.constant(np.array(value, np.float32))


#: As `edgebll_export.lowering_registry.LOWERINGS`.
STEP_LOWERINGS = {
    f"edgebll.{function.__name__}.default": Lowering(f"edgebll.{function.__name__}.default", _FAMILY, function)
    for function in (int8_scale, to_int8, from_int8)
}
