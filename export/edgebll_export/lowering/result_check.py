"""What a lowering returned, held against what PyTorch's operator returns: a mistake is found where it is made."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.complex_value import PARTS, Complex
from edgebll_export.lowering.pointwise.promotion import category, to_copy
from edgebll_export.tracing.trace import dtype_name

#: Precision of the floats that differ in more than their range.
_DIGITS = {"float64": 53, "float32": 24, "float16": 11, "bfloat16": 8}


def checked(g: GraphBuilder, result: Any, expected: Any, more: int = 0) -> Any:
    """The result, converted to the operator's dtype where it holds more: where it was computed wider, to be rounded at last.

    Args:
        g: the graph.
        result: what the lowering returned.
        expected: the operator's result with shapes and dtypes: a tensor, a sequence of them, or None for nothing known. In a
            sequence, None and tensors without elements stand for what the operator leaves undefined there, and those after the
            first, such as saved statistics, stay as wide as they are.
        more: how many results the lowering returns beyond the operator's, for arguments that it overwrites.

    Raises:
        ExportError: the result is of another kind, shape or dtype.
    """
    if _is_complex(expected):
        return _fitting_complex(result, expected)
    if isinstance(expected, Tensor):
        return to_copy(g, _fitting(g, result, expected, ""), dtype_name(expected.dtype))
    if not isinstance(expected, (tuple, list)):
        return result
    if not isinstance(result, (tuple, list)) or len(result) != len(expected) + more:
        raise ExportError(f"its lowering returns {_kind(result)}, but the operator {len(expected) + more} results")
    parts = list(result)
    if expected and all(map(_is_complex, expected)):
        return tuple(_fitting_complex(*pair) for pair in zip(parts, expected, strict=True))
    for position, wanted in enumerate(expected):
        if isinstance(wanted, Tensor) and wanted.numel() and parts[position] is not None:
            parts[position] = _fitting(g, parts[position], wanted, f" as result {position}")
            if position == 0:
                parts[position] = to_copy(g, parts[position], dtype_name(wanted.dtype))
    return tuple(parts)


def _fitting(g: GraphBuilder, result: Any, expected: Tensor, which: str) -> Value:
    dtype, shape = dtype_name(expected.dtype), tuple(expected.shape)
    if not isinstance(result, Value):
        raise ExportError(f"its lowering returns {_kind(result)}{which}, but the operator one tensor {dtype} {shape}")
    carried = g.target.compact and category(dtype) == 1 and result.dtype == "float32"
    if result.shape != shape or not (result.dtype == dtype or carried or _holds(result.dtype, dtype)):
        raise ExportError(f"its lowering returns {result.dtype} {result.shape}{which}, but the operator {dtype} {shape}")
    return result


def _is_complex(expected: Any) -> bool:
    return isinstance(expected, Tensor) and expected.is_complex()


def _fitting_complex(result: Any, expected: Tensor) -> Complex:
    shape, dtype = tuple(expected.shape), PARTS[dtype_name(expected.dtype)]
    fits = isinstance(result, Complex) and all(
        part.shape == shape and part.dtype == dtype for part in (result.real, result.imag)
    )
    if not fits:
        raise ExportError(f"its lowering returns {_kind(result)}, but the operator one complex tensor {shape} of {dtype}")
    return result  # type: ignore[no-any-return]


def _holds(wide: str, narrow: str) -> bool:
    """Whether a conversion to `narrow` only rounds, wraps around, or loses nothing."""
    if wide == "bool":
        return True
    if category(wide) != category(narrow):
        return narrow == "bool" and category(wide) == 1
    return _size(wide) > _size(narrow)


def _size(dtype: str) -> int:
    return _DIGITS.get(dtype) or 8 * np.dtype(dtype).itemsize


def _kind(result: Any) -> str:
    if isinstance(result, (tuple, list)):
        return f"{len(result)} results"
    return "nothing" if result is None else f"a {type(result).__name__}"


def failure(error: Exception, lowering: Callable[..., Any]) -> str:
    """An exception inside a lowering, with the line of the lowering's file, e.g. "KeyError: 'x' (line 12 of own.py)"."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}".rstrip(": ")
    home = getattr(getattr(lowering, "__code__", None), "co_filename", None)
    entries = traceback.extract_tb(error.__traceback__)
    inside = [entry for entry in entries if entry.filename == home] or entries[-1:]
    return f"{text} (line {inside[-1].lineno} of {Path(inside[-1].filename).name})"
