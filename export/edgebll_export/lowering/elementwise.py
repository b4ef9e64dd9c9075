"""Arithmetic, comparison and conversion, element by element."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from onnx import helper

from edgebll.errors import ExportError
from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.parts import sum_of_parts
from edgebll_export.registry import lowering

_FAMILY = "element-wise"


def lift(g: GraphBuilder, x: Value | float | int, like: Value) -> Value:
    """A Python number as a constant of `like`'s dtype; a Value as it is."""
    return x if isinstance(x, Value) else g.constant(np.asarray(x, like.dtype))


def is_number(x: Any, number: float) -> bool:
    """Whether x is this number, as a Python scalar or a constant of one element."""
    if isinstance(x, Value):
        return x.constant is not None and x.constant.size == 1 and float(x.constant.reshape(())) == number
    return isinstance(x, (int, float)) and x == number


def _category(dtype: str) -> int:
    """0: truth values, 1: integers, 2: floats."""
    return {"b": 0, "u": 1, "i": 1}.get(np.dtype(dtype).kind, 2)  # bfloat16 is of numpy's kind "V"


def promoted(x: Value, y: Value) -> str:
    """The dtype of x + y in PyTorch: floats before integers before truth values, tensors before scalars, then the wider."""

    def order(value: Value) -> tuple[int, bool, int]:
        return _category(value.dtype), bool(value.shape), np.dtype(value.dtype).itemsize

    return max(x, y, key=order).dtype


def binary(g: GraphBuilder, operator: str, x: Value | float, y: Value | float) -> Value:
    """An arithmetic operator with PyTorch's promotion; a number takes the tensor's dtype, or float32 where that is no float."""
    like = x if isinstance(x, Value) else y
    if not isinstance(like, Value):
        raise ExportError("an arithmetic operator without a tensor")
    if _category(like.dtype) < 2 and any(isinstance(number, float) for number in (x, y)):
        like = to_copy(g, like, "float32")
    left, right = lift(g, x, like), lift(g, y, like)
    common = promoted(left, right)
    return g.elementwise(operator, [to_copy(g, left, common), to_copy(g, right, common)])


@lowering("aten.mul.Tensor", "aten.mul.Scalar", family=_FAMILY)
def mul(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """X * y."""
    if is_number(y, 1.0):
        return x
    return binary(g, "Mul", x, y)


@lowering("aten.div.Tensor", "aten.div.Scalar", family=_FAMILY)
def div(g: GraphBuilder, x: Value, y: Value | float) -> Value:
    """X / y."""
    return x if is_number(y, 1.0) else binary(g, "Div", x, y)


@lowering("aten.add.Tensor", "aten.add.Scalar", family=_FAMILY)
def add(g: GraphBuilder, x: Value, y: Value | float, alpha: float = 1) -> Value:
    """X + alpha * y."""
    if is_number(y, 0.0):
        return x
    if alpha != 1:
        y = mul(g, y, alpha) if isinstance(y, Value) else y * alpha
    joined = sum_of_parts(g, x, y) if isinstance(x, Value) and isinstance(y, Value) else None
    return joined or binary(g, "Add", x, y)


@lowering("aten.sub.Tensor", "aten.sub.Scalar", family=_FAMILY)
def sub(g: GraphBuilder, x: Value, y: Value | float, alpha: float = 1) -> Value:
    """X - alpha * y."""
    if is_number(y, 0.0):
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
    """X to a constant power; 1, 2 and 1/2 without Pow, which is slow."""
    if exponent == 1:
        return x
    if exponent == 2:
        return binary(g, "Mul", x, x)
    if exponent == 0.5:
        return g.elementwise("Sqrt", [x])
    return binary(g, "Pow", x, float(exponent))


def _unary(aten: str, operator: str) -> None:
    @lowering(f"aten.{aten}.default", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value) -> Value:
        return g.elementwise(operator, [x])

    lower.__doc__ = f"ONNX {operator}."


for _aten, _operator in {
    "neg": "Neg",
    "sqrt": "Sqrt",
    "exp": "Exp",
    "log": "Log",
    "abs": "Abs",
    "sgn": "Sign",
}.items():
    _unary(_aten, _operator)


@lowering("aten.rsqrt.default", family=_FAMILY)
def rsqrt(g: GraphBuilder, x: Value) -> Value:
    """1 / sqrt(x)."""
    return g.elementwise("Reciprocal", [g.elementwise("Sqrt", [x])])


@lowering("aten.reciprocal.default", family=_FAMILY)
def reciprocal(g: GraphBuilder, x: Value) -> Value:
    """1 / x."""
    return g.elementwise("Reciprocal", [x])


@lowering("aten.maximum.default", family=_FAMILY)
def maximum(g: GraphBuilder, x: Value, y: Value) -> Value:
    """The larger of both."""
    return g.elementwise("Max", [x, y])


@lowering("aten.minimum.default", family=_FAMILY)
def minimum(g: GraphBuilder, x: Value, y: Value) -> Value:
    """The smaller of both."""
    return g.elementwise("Min", [x, y])


@lowering("aten.clamp.default", "aten.hardtanh.default", "aten.clamp_min.default", family=_FAMILY)
def clamp(g: GraphBuilder, x: Value, minimum: float | None = None, maximum: float | None = None) -> Value:
    """X limited to [minimum, maximum]; of integers by Max and Min, because TensorRT's Clip takes none."""
    if x.dtype.startswith("int"):
        x = x if minimum is None else binary(g, "Max", x, minimum)
        return x if maximum is None else binary(g, "Min", x, maximum)
    bounds = [None if bound is None else lift(g, bound, x) for bound in (minimum, maximum)]
    (result,) = g.node("Clip", [x, *bounds], [(x.dtype, x.stored)])
    return Value(result.name, x.dtype, x.shape, x.stored)


def _comparison(aten: str, operator: str, invert: bool = False) -> None:
    @lowering(f"aten.{aten}.Scalar", f"aten.{aten}.Tensor", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value, y: Value | float) -> Value:
        if operator == "Equal" and x.dtype == "bool":  # TensorRT compares no truth values
            different = g.elementwise("Xor", [x, lift(g, y, x)], dtype="bool")
            return different if invert else g.elementwise("Not", [different])
        other = lift(g, y, x)
        common = promoted(x, other)
        result = g.elementwise(operator, [to_copy(g, x, common), to_copy(g, other, common)], dtype="bool")
        return g.elementwise("Not", [result]) if invert else result

    lower.__doc__ = f"ONNX {operator}{', then Not' if invert else ''}."


for _aten, _operator in {
    "gt": "Greater",
    "ge": "GreaterOrEqual",
    "lt": "Less",
    "le": "LessOrEqual",
    "eq": "Equal",
}.items():
    _comparison(_aten, _operator)
_comparison("ne", "Equal", invert=True)


@lowering("aten.where.self", "aten.where.ScalarSelf", "aten.where.ScalarOther", "aten.where.Scalar", family=_FAMILY)
def where(g: GraphBuilder, condition: Value, x: Value | float, y: Value | float) -> Value:
    """X where the condition holds, else y."""
    like = x if isinstance(x, Value) else y
    if not isinstance(like, Value):
        raise ExportError("where() between two numbers; write one of them as a tensor")
    if like.dtype == "bool":  # ONNX Runtime has no Where for truth values
        kept = g.elementwise("And", [condition, lift(g, x, like)], dtype="bool")
        others = g.elementwise("And", [g.elementwise("Not", [condition], dtype="bool"), lift(g, y, like)], dtype="bool")
        return g.elementwise("Or", [kept, others], dtype="bool")
    left, right = lift(g, x, like), lift(g, y, like)
    common = promoted(left, right)
    return g.elementwise("Where", [condition, to_copy(g, left, common), to_copy(g, right, common)], dtype=common)


@lowering("aten.masked_fill.Scalar", "aten.masked_fill.Tensor", family=_FAMILY)
def masked_fill(g: GraphBuilder, x: Value, mask: Value, number: Value | float) -> Value:
    """The number where the mask holds, else x."""
    return g.elementwise("Where", [mask, lift(g, number, x), x], dtype=x.dtype)


@lowering("aten.fill.Scalar", "aten.fill.Tensor", family=_FAMILY)
def fill(g: GraphBuilder, x: Value, number: Value | float) -> Value:
    """The number in x's shape, stored once."""
    one = g.reshape(to_copy(g, lift(g, number, x), x.dtype), (1,) * len(x.shape))
    return replace(one, shape=x.shape)


def _logical(aten: str, operator: str) -> None:
    @lowering(f"aten.logical_{aten}.default", f"aten.bitwise_{aten}.Tensor", family=_FAMILY)
    def lower(g: GraphBuilder, x: Value, y: Value) -> Value:
        return g.elementwise(operator, [x, y], dtype="bool")

    lower.__doc__ = f"ONNX {operator}, of truth values."


_logical("and", "And")
_logical("or", "Or")


@lowering("aten.logical_not.default", "aten.bitwise_not.default", family=_FAMILY)
def logical_not(g: GraphBuilder, x: Value) -> Value:
    """Not x."""
    return g.elementwise("Not", [x], dtype="bool")


@lowering("aten._to_copy.default", family=_FAMILY)
def to_copy(g: GraphBuilder, x: Value, dtype: str | None = None, **_: Any) -> Value:
    """Conversion to another dtype; device and layout do not matter here."""
    if dtype is None or dtype == x.dtype:
        return x
    return g.elementwise("Cast", [x], dtype=dtype, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
