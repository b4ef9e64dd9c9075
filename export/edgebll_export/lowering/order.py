"""Sorting and selecting by rank, all by ONNX TopK: of equal elements the first comes first.

TopK gives positions too, so that the gradient, a scatter in PyTorch's traces, goes to the elements that were chosen.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.pointwise.promotion import category, to_copy
from edgebll_export.lowering.shape import select
from edgebll_export.lowering_registry import lowering

_FAMILY = "order"
#: The most elements TensorRT's TopK finds.
_MOST = 3840


def ranked(g: GraphBuilder, x: Value, axis: int, count: int, largest: bool) -> tuple[Value, Value]:
    """The `count` largest or smallest elements along an axis in order, and their positions."""
    if not x.shape:
        return x, g.constant(np.array(0, np.int64))
    if len(x.shape) == 1:  # TensorRT's parser takes no vector
        found = ranked(g, g.reshape(x, (1, *x.shape)), 1, count, largest)
        return g.reshape(found[0], (count,)), g.reshape(found[1], (count,))
    if g.target.is_tensorrt and count > _MOST:
        raise ExportError(f"TensorRT finds the {_MOST} first elements at most, not {count}; sort fewer")
    axis %= len(x.shape)
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    integers = category(x.dtype) == 1 and not g.target.is_tensorrt
    wide = to_copy(g, x, x.dtype if x.dtype == "float64" else "int64" if integers else "float32")
    inputs = [g.dense(wide), g.constant(np.array([count], np.int64))]
    outputs = [(wide.dtype, shape), ("int64", shape)]
    values, places = g.node("TopK", inputs, outputs, axis=axis, largest=int(largest), sorted=1)
    return to_copy(g, values, x.dtype), places


@lowering("aten.topk.default", family=_FAMILY)
def topk(
    g: GraphBuilder, x: Value, count: int, axis: int = -1, largest: bool = True, _sorted: bool = True
) -> tuple[Value, Value]:
    """The largest or smallest elements along an axis, in order, and their positions."""
    return ranked(g, x, axis, count, largest)


@lowering("aten.sort.default", family=_FAMILY)
def sort(g: GraphBuilder, x: Value, axis: int = -1, descending: bool = False) -> tuple[Value, Value]:
    """All elements along an axis in order, and their positions; equal ones stay in order."""
    return ranked(g, x, axis, x.shape[axis] if x.shape else 1, descending)


@lowering("aten.sort.stable", family=_FAMILY)
def sort_stable(
    g: GraphBuilder, x: Value, *, stable: bool | None = None, dim: int = -1, descending: bool = False
) -> tuple[Value, Value]:
    """As `sort`, which is stable."""
    return sort(g, x, dim, descending)


@lowering("aten.kthvalue.default", family=_FAMILY)
def kthvalue(g: GraphBuilder, x: Value, rank: int, axis: int = -1, keepdim: bool = False) -> tuple[Value, Value]:
    """The element of a rank along an axis, counted from 1 for the smallest, and its position."""
    if not x.shape:
        return ranked(g, x, axis, 1, False)
    found = [select(g, part, axis, rank - 1) for part in ranked(g, x, axis, rank, False)]
    shape = tuple(1 if place == axis % len(x.shape) else size for place, size in enumerate(x.shape))
    values, places = (g.reshape(part, shape) if keepdim else part for part in found)
    return values, places


@lowering("aten.median.dim", family=_FAMILY)
def median_along(g: GraphBuilder, x: Value, axis: int, keepdim: bool = False) -> tuple[Value, Value]:
    """The median along an axis, of an even number the lower one, and its position."""
    return kthvalue(g, x, (x.shape[axis] + 1) // 2 if x.shape else 1, axis, keepdim)


@lowering("aten.median.default", family=_FAMILY)
def median(g: GraphBuilder, x: Value, **_: Any) -> Value:
    """The median of all elements, of an even number the lower one."""
    return median_along(g, g.reshape(x, (math.prod(x.shape),)), 0)[0]
