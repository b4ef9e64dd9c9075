"""Sums, means and maxima over axes, and the log-softmax."""

from __future__ import annotations

import math

from edgebll.kernel.bundle.onnx_file import Node
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import SUM, Expression, load, number
from edgebll.kernel.microcontroller.kernels import Reduction
from edgebll.kernel.microcontroller.translation import Translation, translates
from edgebll.kernel.microcontroller.views import StridedView

_KINDS = {"ReduceSum": "sum", "ReduceMean": "sum", "ReduceMax": "max"}


@translates(*_KINDS)
def _reduce(t: Translation, node: Node) -> None:
    x = t.view(node.inputs[0])
    rank = len(x.shape)
    listed = t.integers(node.inputs[1]) if len(node.inputs) > 1 and node.inputs[1] else node.attributes.get("axes", ())
    over = sorted({axis % rank for axis in listed}) if listed else list(range(rank))
    if node.attributes.get("noop_with_empty_axes", 0) and not listed:
        over = []
    kept = [axis for axis in range(rank) if axis not in over]
    shape, reduced = tuple(x.shape[axis] for axis in kept), tuple(x.shape[axis] for axis in over)
    told = [1 if axis in over else x.shape[axis] for axis in range(rank)] if node.attributes.get("keepdims", 1) else shape
    count = math.prod(reduced)
    if count == 1:
        made = x.permuted((*kept, *over)).with_axes(shape, [x.strides[axis] for axis in kept])
    else:
        mean = node.operator == "ReduceMean"
        result = Expression("div", (SUM, number(float(count)))) if mean else SUM
        source = Reduction(_KINDS[node.operator], reduced, load(x.permuted((*kept, *over))))
        made = t.computed(node.outputs[0], shape, result, source)
    sizes = iter(made.strides)
    strides = [0 if axis in over else next(sizes) for axis in range(rank)] if len(told) == rank else list(made.strides)
    t.values[node.outputs[0]] = made.with_axes(told, strides)


@translates("LogSoftmax")
def _log_softmax(t: Translation, node: Node) -> None:
    """Both reductions are over one axis: the maximum, and the logarithm of the sum of exp(x - maximum)."""
    x, name = t.view(node.inputs[0]), node.outputs[0]
    rank = len(x.shape)
    if rank == 0:
        raise BundleError("a scalar has no axis")
    axis = int(node.attributes.get("axis", -1)) % rank
    rows = x.permuted([*(other for other in range(rank) if other != axis), axis])
    lead, length = rows.shape[:-1], rows.shape[-1:]
    above = t.computed(f"{name} maximum", lead, SUM, Reduction("max", length, load(rows)))
    less = Expression("sub", (load(rows), load(_along(above, rows.shape, rank - 1))))
    summand = Reduction("sum", length, Expression("exp", (less,)))
    total = t.computed(f"{name} logarithm", lead, Expression("log", (SUM,)), summand)
    less = Expression("sub", (load(x), load(_along(above, x.shape, axis))))
    t.values[name] = t.computed(name, x.shape, Expression("sub", (less, load(_along(total, x.shape, axis)))))


def _along(each: StridedView, shape: tuple[int, ...], axis: int) -> StridedView:
    """The same for every position of one more axis."""
    return each.with_axes(shape, (*each.strides[:axis], 0, *each.strides[axis:]))
