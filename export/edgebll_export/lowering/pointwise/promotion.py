"""PyTorch's type promotion: the dtype in which an operator computes on tensors and numbers of different types."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce as fold
from typing import Any

import numpy as np
from onnx import helper

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering_registry import lowering

#: What a Python number of each category becomes where no tensor is of that category.
_DEFAULTS = ("bool", "int64", "float32")
#: Compact targets compute in float32 alone, which holds whole numbers up to 2^24.
_WHOLE = ("int32", "int64")
#: ONNX Runtime and TensorRT have few kernels for these; in int32 the result wraps around to the same bits.
_SMALL = ("uint8", "int8", "int16")
_HALF_RANGE = (float(np.finfo(np.float16).tiny), float(np.finfo(np.float16).max))


def category(dtype: str) -> int:
    """0: truth values, 1: integers, 2: floats."""
    return {"b": 0, "u": 1, "i": 1}.get(np.dtype(dtype).kind, 2)  # bfloat16 is of numpy's kind "V"


def common_type(*operands: Value | float) -> str:
    """The dtype PyTorch computes in: of the highest category, tensors before scalars before numbers, then the wider."""
    tensors = [operand for operand in operands if isinstance(operand, Value)]
    top = max(category(value.dtype) for value in tensors) if tensors else -1
    highest = [value for value in tensors if category(value.dtype) == top]
    ranked = [value.dtype for value in highest if value.shape] or [value.dtype for value in highest]
    numbers = max((_category_of(operand) for operand in operands if not isinstance(operand, Value)), default=-1)
    return _DEFAULTS[numbers] if numbers > top else fold(_wider, ranked)


def _category_of(number: float) -> int:
    return 0 if isinstance(number, bool) else 1 if isinstance(number, int) else 2


def _wider(x: str, y: str) -> str:
    if x == y:
        return x
    if category(x) < 2:
        return np.promote_types(x, y).name
    sizes = np.dtype(x).itemsize, np.dtype(y).itemsize
    return "float32" if sizes[0] == sizes[1] else x if sizes[0] > sizes[1] else y


def aligned(g: GraphBuilder, *operands: Value | float, dtype: str | None = None) -> list[Value]:
    """The operands in one dtype, by default their common one; numbers become constants, and integers floats where compact."""
    common = dtype or common_type(*operands)
    if g.target.compact and common in _WHOLE:
        common = "float32"
    return [to_copy(g, x, common) if isinstance(x, Value) else _number(g, x, common) for x in operands]


def computed_in(common: str, *operands: Value | float) -> str:
    """The dtype to compute in where the common one would lose a number, or has hardly any kernels."""
    if common in _SMALL:
        return "int32"
    lost = common == "float16" and any(_beyond_half(operand) for operand in operands)
    return "float32" if lost else common


def _beyond_half(operand: Value | float) -> bool:
    if isinstance(operand, Value):
        if operand.constant is None or operand.constant.size != 1 or operand.dtype == "float16":
            return False
        operand = float(operand.constant.reshape(()))
    return bool(operand) and np.isfinite(operand) and not _HALF_RANGE[0] <= abs(operand) <= _HALF_RANGE[1]


def as_float(g: GraphBuilder, x: Value) -> Value:
    """Integers and truth values in float32, as PyTorch's functions of real numbers take them; floats as they are."""
    return to_copy(g, x, "float32") if category(x.dtype) < 2 else x


def lift(g: GraphBuilder, x: Value | float | int, like: Value) -> Value:
    """A Python number as a constant of `like`'s dtype; a Value as it is."""
    return x if isinstance(x, Value) else _number(g, x, like.dtype)


def _number(g: GraphBuilder, x: float, dtype: str) -> Value:
    with np.errstate(over="ignore"):  # what float16 does not hold compares as infinity
        return g.constant(np.asarray(x).astype(dtype))


def is_number(x: Any, number: float) -> bool:
    """Whether x is this number, as a Python scalar or a constant of one element."""
    if isinstance(x, Value):
        return x.constant is not None and x.constant.size == 1 and float(x.constant.reshape(())) == number
    return isinstance(x, (int, float)) and x == number


def changes_nothing(x: Value | float, y: Value | float, neutral: float) -> bool:
    """Whether an operator with y gives x itself: y is its neutral number, and neither dtype nor shape come from y."""
    if not isinstance(x, Value) or not is_number(y, neutral) or common_type(x, y) != x.dtype:
        return False
    return not isinstance(y, Value) or np.broadcast_shapes(x.shape, y.shape) == x.shape


@lowering("aten._to_copy.default", family="element-wise")
def converted(g: GraphBuilder, x: Value, dtype: str | None = None, **_: Any) -> Value:
    """Conversion to another dtype; device and layout do not matter here."""
    if g.target.compact and dtype in _WHOLE and x.dtype == "float32" and x.constant is None:
        down, up = g.elementwise("Floor", [x]), g.elementwise("Ceil", [x])
        sides = [g.elementwise(operator, [part, lift(g, 0.0, x)]) for operator, part in (("Max", down), ("Min", up))]
        x = g.elementwise("Add", sides)  # cut towards zero
    return to_copy(g, x, dtype)


def to_copy(g: GraphBuilder, x: Value, dtype: str | None = None) -> Value:
    """X in another dtype.

    On compact targets whole numbers that are computed stay floats, of which none is between two whole numbers.
    """
    if dtype is None or dtype == x.dtype:
        return x
    if x.constant is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            return replace(g.constant(x.constant.astype(dtype)), shape=x.shape)
    if g.target.is_tensorrt and x.dtype == "uint8" and dtype not in ("float32", "float16"):  # it casts bytes to these alone
        x = to_copy(g, x, "float32")
    if g.target.compact and dtype in _WHOLE and x.dtype in ("float32", "bool"):
        return to_copy(g, x, "float32")
    if g.target.compact and dtype == "bool":
        equal = g.elementwise("Equal", aligned(g, x, 0.0, dtype="float32"), dtype="bool")
        return g.elementwise("Not", [equal])
    return cast(g, x, dtype)


def cast(g: GraphBuilder, x: Value, dtype: str) -> Value:
    """X in another dtype by an operator."""
    return g.elementwise("Cast", [x], dtype=dtype, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
