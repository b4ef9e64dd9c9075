"""Operators that move elements: views where the strides allow it, copies where not.

Scaled integers stay what they are in views.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgebll.kernel.bundle.onnx_file import Node
from edgebll.kernel.errors import BundleError
from edgebll.kernel.microcontroller.expressions import SUM, load, number
from edgebll.kernel.microcontroller.kernels import RowGather
from edgebll.kernel.microcontroller.translation import Translation, constant_view, translates
from edgebll.kernel.microcontroller.views import PlannedBuffer, StridedView


def _seen(t: Translation, node: Node, change: Callable[[StridedView], StridedView | None]) -> bool:
    """Make the result another view of the first input, if there is one; whether there is."""
    name, result = node.inputs[0], node.outputs[0]
    if name in t.scaled:
        scaled = t.scaled[name].mapped(change)
        if scaled is not None:
            t.scaled[result] = scaled
            return True
    view = change(t.view(name))
    if view is not None:
        t.values[result] = view
    return view is not None


def _shape_of(t: Translation, name: str) -> tuple[int, ...]:
    return t.scaled[name].view.shape if name in t.scaled else t.view(name).shape


@translates("Identity")
def _identity(t: Translation, node: Node) -> None:
    _seen(t, node, lambda x: x)


@translates("Reshape")
def _reshape(t: Translation, node: Node) -> None:
    shape, sizes = _shape_of(t, node.inputs[0]), t.integers(node.inputs[1])
    if not node.attributes.get("allowzero", 0):
        sizes = [shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    if -1 in sizes:
        rest = -int(np.prod(sizes, dtype=np.int64))
        sizes = [math.prod(shape) // rest if size == -1 else size for size in sizes]
    _in_shape(t, node, sizes)


@translates("Squeeze")
def _squeeze(t: Translation, node: Node) -> None:
    shape = _shape_of(t, node.inputs[0])
    gone = {axis % len(shape) for axis in t.integers(node.inputs[1])} if len(node.inputs) > 1 else None
    _in_shape(t, node, [n for axis, n in enumerate(shape) if (n != 1 if gone is None else axis not in gone)])


def _in_shape(t: Translation, node: Node, shape: Sequence[int]) -> None:
    old = _shape_of(t, node.inputs[0])
    if math.prod(shape) != math.prod(old):
        raise BundleError(f"{list(old)} has other elements than {list(shape)}")
    if not _seen(t, node, lambda x: x.reshaped(shape)):
        t.values[node.outputs[0]] = _reshaped(t, t.copied(node.outputs[0], t.view(node.inputs[0])), shape)


@translates("Transpose")
def _transpose(t: Translation, node: Node) -> None:
    _seen(t, node, lambda x: x.permuted(node.attributes.get("perm") or range(len(x.shape))[::-1]))


@translates("Expand")
def _expand(t: Translation, node: Node) -> None:
    _seen(t, node, lambda x: x.expanded(np.broadcast_shapes(x.shape, tuple(t.integers(node.inputs[1])))))


@translates("Slice")
def _slice(t: Translation, node: Node) -> None:
    starts, ends = t.integers(node.inputs[1]), t.integers(node.inputs[2])
    given = [t.integers(name) if name else [] for name in node.inputs[3:]]
    axes = given[0] if given and given[0] else list(range(len(starts)))
    steps = given[1] if len(given) > 1 and given[1] else [1] * len(axes)
    if min(steps, default=1) < 1:
        raise BundleError(f"it goes in steps of {min(steps)}; only steps above 0 are known")

    def cut(x: StridedView) -> StridedView:
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            positions = range(x.shape[axis % len(x.shape)])[start:end:step]
            x = x.sliced(axis % len(x.shape), positions.start, len(positions), step)
        return x

    _seen(t, node, cut)


@translates("Concat")
def _concat(t: Translation, node: Node) -> None:
    views = [t.view(name) for name in node.inputs]
    axis = node.attributes["axis"] % len(views[0].shape)
    shape = list(views[0].shape)
    shape[axis] = sum(view.shape[axis] for view in views)
    whole, start = PlannedBuffer(node.outputs[0], tuple(shape)).whole(), 0
    for view in views:
        place = whole.sliced(axis, start, view.shape[axis])
        if place.shape != view.shape:
            raise BundleError(f"{list(view.shape)} does not fit beside {list(views[0].shape)}")
        t.emit(place.shape, place, load(view))
        start += view.shape[axis]
    t.values[node.outputs[0]] = whole


@translates("Pad")
def _pad(t: Translation, node: Node) -> None:
    """The border in boxes that do not overlap, two an axis, and the elements inside."""
    x, pads = t.view(node.inputs[0]), t.integers(node.inputs[1])
    rank = len(x.shape)
    if node.attributes.get("mode", "constant") != "constant" or min(pads, default=0) < 0 or len(pads) != 2 * rank:
        raise BundleError("padding is with a number, and with two counts of 0 or more an axis")
    fill = load(t.view(node.inputs[2])) if len(node.inputs) > 2 and node.inputs[2] else number(0.0)
    if fill.view is not None:
        raise BundleError("the number to pad with must be a constant")
    shape = tuple(front + size + back for front, size, back in zip(pads, x.shape, pads[rank:], strict=False))
    inner = whole = PlannedBuffer(node.outputs[0], shape).whole()
    for axis, (front, back) in enumerate(zip(pads, pads[rank:], strict=False)):
        for start, count in ((0, front), (front + x.shape[axis], back)):
            border = inner.sliced(axis, start, count)
            t.emit(border.shape, border, fill)
        inner = inner.sliced(axis, front, x.shape[axis])
    t.emit(inner.shape, inner, load(x))
    t.values[node.outputs[0]] = whole


@translates("Gather")
def _gather(t: Translation, node: Node) -> None:
    x, positions = t.floats(node.inputs[0]), t.view(node.inputs[1])
    axis = node.attributes.get("axis", 0) % len(x.shape)
    lead, rows, rest = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    shape, known = (*lead, *positions.shape, *rest), positions.buffer.content
    if known is not None:
        chosen = known.reshape(-1)[positions.addresses()] % rows
        view = x.at(np.take(np.arange(x.size).reshape(x.shape), chosen, axis))
        if view is not None:
            t.values[node.outputs[0]] = view
            return
        positions = constant_view(node.inputs[1], chosen.astype(np.int32))
    table = _reshaped(t, x, (int(np.prod(lead)), rows, int(np.prod(rest))))
    where = _reshaped(t, positions, (positions.size,))
    whole = PlannedBuffer(node.outputs[0], (table.shape[0], positions.size, table.shape[2])).whole()
    for index in range(table.shape[0]):  # one but where the axis is not the first
        part, rows_there = (_one_of_first(view, index) for view in (whole, table))
        t.emit(part.shape, part, SUM, RowGather(rows_there, where))
    t.values[node.outputs[0]] = _reshaped(t, whole, shape)


def _one_of_first(view: StridedView, index: int) -> StridedView:
    return view.with_axes(view.shape[1:], view.strides[1:], index * view.strides[0])


def _reshaped(t: Translation, view: StridedView, shape: Sequence[int]) -> StridedView:
    found = view.reshaped(shape)
    if found is None:
        found = t.copied(f"{view.buffer.name} in order", view).reshaped(shape)
    assert found is not None  # noqa: S101  (a whole buffer has every shape)
    return found
