"""Views, joins and constants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.disjoint_sums import note_padded
from edgebll_export.lowering.pointwise.promotion import aligned
from edgebll_export.lowering_registry import lowering

_FAMILY = "shape"


@lowering(
    "aten.detach.default",
    "aten.clone.default",
    "aten.alias.default",
    "aten.lift_fresh_copy.default",
    "aten.contiguous.default",
    family=_FAMILY,
)
def same(g: GraphBuilder, x: Value, **_: Any) -> Value:
    """The value itself: graphs have no aliases."""
    return x


@lowering("aten.view.default", "aten.reshape.default", "aten._unsafe_view.default", family=_FAMILY)
def view(g: GraphBuilder, x: Value, shape: Sequence[int]) -> Value:
    """Another shape; one size may be -1."""
    return g.reshape(x, np.empty(x.shape, np.bool_).reshape(shape).shape)


@lowering("aten.unsqueeze.default", family=_FAMILY)
def unsqueeze(g: GraphBuilder, x: Value, axis: int) -> Value:
    """A new axis of size 1."""
    axis %= len(x.shape) + 1
    return g.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


@lowering("aten.squeeze.dim", "aten.squeeze.dims", "aten.squeeze.default", family=_FAMILY)
def squeeze(g: GraphBuilder, x: Value, axes: int | Sequence[int] | None = None) -> Value:
    """Axes of size 1 dropped."""
    rank = len(x.shape)
    if not rank:
        return x
    chosen = range(rank) if axes is None else [axes] if isinstance(axes, int) else axes
    dropped = {axis % rank for axis in chosen if x.shape[axis] == 1}
    return g.reshape(x, tuple(size for axis, size in enumerate(x.shape) if axis not in dropped))


@lowering("aten.expand.default", family=_FAMILY)
def expand(g: GraphBuilder, x: Value, shape: Sequence[int], **_: Any) -> Value:
    """Repeat along axes of size 1, without storing the copies."""
    rank = len(shape)
    x = g.reshape(x, (1,) * (rank - len(x.shape)) + x.shape)
    logical = tuple(old if new == -1 else new for new, old in zip(shape, x.shape, strict=True))
    return replace(x, shape=logical)


@lowering("aten.t.default", family=_FAMILY)
def t(g: GraphBuilder, x: Value) -> Value:
    """Transpose of a matrix; a vector stays."""
    return g.transpose(x, (1, 0)) if len(x.shape) == 2 else x


@lowering("aten.transpose.int", family=_FAMILY)
def transpose(g: GraphBuilder, x: Value, first: int, second: int) -> Value:
    """Two axes swapped."""
    if not x.shape:
        return x
    order = list(range(len(x.shape)))
    order[first], order[second] = order[second], order[first]
    return g.transpose(x, order)


@lowering("aten.permute.default", family=_FAMILY)
def permute(g: GraphBuilder, x: Value, order: Sequence[int]) -> Value:
    """Axes in another order."""
    return g.transpose(x, [axis % len(x.shape) for axis in order])


def crop(
    g: GraphBuilder, x: Value, axes: Sequence[int], starts: Sequence[int], ends: Sequence[int], steps: Sequence[int]
) -> Value:
    """x[start:end:step] along some axes; starts and ends are not negative, steps positive."""
    shape = list(x.shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        shape[axis] = max(0, -(-(min(end, x.shape[axis]) - start) // step))
    if tuple(shape) == x.shape:
        return x
    index = [g.constant(np.array(part, np.int64)) for part in (starts, ends, axes, steps)]
    return g.op("Slice", [x, *index], shape, x.dtype)


@lowering("aten.slice.Tensor", family=_FAMILY)
def slice_(g: GraphBuilder, x: Value, axis: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Value:
    """x[..., start:end:step, ...]."""
    axis %= len(x.shape)
    first, last, _ = slice(start, end, step).indices(x.shape[axis])
    return crop(g, x, [axis], [first], [last], [step])


@lowering("aten.select.int", family=_FAMILY)
def select(g: GraphBuilder, x: Value, axis: int, index: int) -> Value:
    """One index of an axis, the axis dropped."""
    axis %= len(x.shape)
    index %= x.shape[axis]
    if x.stored[axis] == 1:  # the same everywhere along this axis
        chosen = replace(x, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))
    else:
        chosen = crop(g, x, [axis], [index], [index + 1], [1])
    return g.reshape(chosen, (*x.shape[:axis], *x.shape[axis + 1 :]))


def pad(g: GraphBuilder, x: Value, before: Sequence[int], after: Sequence[int], number: float = 0.0) -> Value:
    """Constants put before and after along every axis; negative counts crop."""
    if not any(before) and not any(after):
        return x
    shape = [size + b + a for size, b, a in zip(x.shape, before, after, strict=True)]
    if g.target.compact and min(*before, *after) < 0:
        return _cut_and_padded(g, x, before, after, number)
    inputs = [x, g.constant(np.array([*before, *after], np.int64))]
    if number != 0.0:
        inputs.append(g.constant(np.asarray(number, x.dtype)))
    result = g.op("Pad", inputs, shape, x.dtype)
    if number == 0.0:
        note_padded(g, result, x, before, after)
    return result


def _cut_and_padded(g: GraphBuilder, x: Value, before: Sequence[int], after: Sequence[int], number: float) -> Value:
    """`pad` by a crop, and by a Pad whose counts are not negative."""
    axes = range(len(x.shape))
    starts, ends = [max(-b, 0) for b in before], [n + min(a, 0) for n, a in zip(x.shape, after, strict=True)]
    kept = crop(g, x, axes, starts, ends, [1] * len(axes))
    return pad(g, kept, [max(b, 0) for b in before], [max(a, 0) for a in after], number)


@lowering("aten.constant_pad_nd.default", family=_FAMILY)
def constant_pad(g: GraphBuilder, x: Value, pads: Sequence[int], number: float = 0.0) -> Value:
    """PyTorch's order of pads: last axis first, (before, after) pairs."""
    rank = len(x.shape)
    before, after = [0] * rank, [0] * rank
    for position in range(len(pads) // 2):
        before[rank - 1 - position], after[rank - 1 - position] = pads[2 * position], pads[2 * position + 1]
    return pad(g, x, before, after, number)


@lowering("aten.slice_backward.default", family=_FAMILY)
def slice_backward(g: GraphBuilder, grad: Value, shape: Sequence[int], axis: int, start: int, end: int, step: int) -> Value:
    """Gradient of slice: zeros around, and in between where it takes steps."""
    rank = len(shape)
    axis %= rank
    places = range(*slice(start, end, step).indices(shape[axis]))
    if not places:
        return filled(g, shape, 0.0, grad.dtype)
    if step > 1 and len(places) > 1:
        apart = g.reshape(grad, (*grad.shape[: axis + 1], 1, *grad.shape[axis + 1 :]))
        filled_up = pad(g, apart, [0] * (rank + 1), [step - 1 if place == axis + 1 else 0 for place in range(rank + 1)])
        grad = g.reshape(filled_up, (*grad.shape[:axis], grad.shape[axis] * step, *grad.shape[axis + 1 :]))
        grad = crop(g, grad, [axis], [0], [places[-1] + 1 - places[0]], [1])
    before, after = [0] * rank, [0] * rank
    before[axis] = places.start
    after[axis] = shape[axis] - places.start - grad.shape[axis]
    return pad(g, grad, before, after)


@lowering("aten.select_backward.default", family=_FAMILY)
def select_backward(g: GraphBuilder, grad: Value, shape: Sequence[int], axis: int, index: int) -> Value:
    """Gradient of select: zeros around."""
    axis %= len(shape)
    index %= shape[axis]
    return slice_backward(g, unsqueeze(g, grad, axis), shape, axis, index, index + 1, 1)


@lowering("aten.cat.default", family=_FAMILY)
def cat(g: GraphBuilder, parts: Sequence[Value], axis: int = 0) -> Value:
    """Parts joined along an axis, in their common dtype; an empty vector among parts of more axes is left out."""
    rank = max(len(part.shape) for part in parts)
    parts = [part for part in aligned(g, *parts) if len(part.shape) == rank]
    axis %= rank
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    return parts[0] if len(parts) == 1 else g.op("Concat", parts, shape, axis=axis)


@lowering("aten.stack.default", family=_FAMILY)
def stack(g: GraphBuilder, parts: Sequence[Value], axis: int = 0) -> Value:
    """Parts joined along a new axis."""
    return cat(g, [unsqueeze(g, part, axis % (len(part.shape) + 1)) for part in parts], axis)


def filled(g: GraphBuilder, shape: Sequence[int], number: float, dtype: str) -> Value:
    """A number everywhere, stored once."""
    return replace(g.constant(np.full((1,) * len(shape), number, dtype)), shape=tuple(shape))
