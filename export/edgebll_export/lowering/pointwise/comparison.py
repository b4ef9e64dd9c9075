"""Comparisons, truth values, and choices by them, element by element."""

from __future__ import annotations

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.promotion import aligned, common_type, computed_in, lift, to_copy
from edgebll_export.lowering_registry import lowering

_FAMILY = "element-wise"


def _compared(g: GraphBuilder, operator: str, x: Value, y: Value | float) -> Value:
    common = common_type(x, y)
    if common == "bool" and operator == "Equal":  # TensorRT compares no truth values
        return g.elementwise("Not", [g.elementwise("Xor", aligned(g, x, y), dtype="bool")])
    return g.elementwise(operator, aligned(g, x, y, dtype="int32" if common == "bool" else computed_in(common)), dtype="bool")


def _comparison(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.Scalar", f"aten.{aten}.Tensor", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value, y: Value | float) -> Value:
        return _compared(g, operator, x, y)

    lower.__doc__ = f"ONNX {operator}."


for _aten, _operator in {
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "lt": "Less",
    "le": "LessOrEqual",
    "eq": "Equal",
}.items():
    _comparison(_aten, _operator)


def equal(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """Where both are equal."""
    return _compared(g, "Equal", x, y)


@lowering("aten.ne.Scalar", "aten.ne.Tensor", family=_FAMILY)
def not_equal(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """ONNX Equal, then Not; of truth values Xor."""
    if common_type(x, y) == "bool":
        return g.elementwise("Xor", aligned(g, x, y), dtype="bool")
    return g.elementwise("Not", [equal(g, x, y)])


@lowering("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther", "aten.where.Scalar", family=_FAMILY)
def where(g: GraphBuilder, condition: Value, x: Value | float, y: Value | float) -> Value:
    """X where the condition holds, else y."""
    common = common_type(x, y)
    condition = to_copy(g, condition, "bool")
    if common == "bool":  # ONNX Runtime has no Where for truth values
        left, right = aligned(g, x, y)
        kept = g.elementwise("And", [condition, left], dtype="bool")
        others = g.elementwise("And", [g.elementwise("Not", [condition], dtype="bool"), right], dtype="bool")
        return g.elementwise("Or", [kept, others], dtype="bool")
    inside = computed_in(common)
    left, right = aligned(g, x, y, dtype=inside)
    return to_copy(g, g.elementwise("Where", [condition, left, right], dtype=left.dtype), common)


@lowering("aten.masked_fill.Scalar", "aten.masked_fill.Tensor", family=_FAMILY)
def masked_fill(g: GraphBuilder, x: Value, mask: Value, number: Value | float) -> Value:
    """The number where the mask holds, else x."""
    return where(g, mask, to_copy(g, lift(g, number, x), x.dtype), x)


def _logical(aten: str, operator: str) -> None:
    @lowering(f"aten.logical_{aten}.default", family=_FAMILY)
    def of_truth(g: GraphBuilder, x: Value, y: Value | bool) -> Value:
        return g.elementwise(operator, aligned(g, x, y, dtype="bool"), dtype="bool")

    @lowering(f"aten.bitwise_{aten}.Tensor", f"aten.bitwise_{aten}.Scalar", family=_FAMILY)
    def of_bits(g: GraphBuilder, x: Value, y: Value | bool) -> Value:
        if common_type(x, y) != "bool":
            raise ExportError("the bits of integers cannot be combined in a graph; compare them to truth values before")
        return of_truth(g, x, y)

    of_truth.__doc__ = f"ONNX {operator}, of what is true or not 0."
    of_bits.__doc__ = f"ONNX {operator}, of truth values."


_logical("and", "And")
_logical("or", "Or")
_logical("xor", "Xor")


@lowering("aten.logical_not.default", family=_FAMILY)
def logical_not(g: GraphBuilder, x: Value) -> Value:
    """Not x."""
    return g.elementwise("Not", [to_copy(g, x, "bool")], dtype="bool")


@lowering("aten.bitwise_not.default", family=_FAMILY)
def bitwise_not(g: GraphBuilder, x: Value) -> Value:
    """Not x; of integers -1 - x."""
    if x.dtype == "bool":
        return logical_not(g, x)
    inside = computed_in(x.dtype)
    return to_copy(g, g.elementwise("Sub", aligned(g, -1, x, dtype=inside)), x.dtype)
