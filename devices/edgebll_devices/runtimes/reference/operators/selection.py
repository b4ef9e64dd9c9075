"""Operators that pick, join, pad or make elements."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, axes_of, check_size, operator, same_dtype


@operator("Constant")
def constant(
    *,
    value: Value | None = None,
    value_float: float | None = None,
    value_int: int | None = None,
    value_floats: Sequence[float] | None = None,
    value_ints: Sequence[int] | None = None,
) -> Value:
    """The tensor in the one attribute that is given."""
    given = [
        (value, None),
        (value_float, np.float32),
        (value_int, np.int64),
        (value_floats, np.float32),
        (value_ints, np.int64),
    ]
    contents = [np.asarray(content, dtype) for content, dtype in given if content is not None]
    if len(contents) != 1:
        raise BundleError(f"a constant needs one value and has {len(contents)}")
    return contents[0]


@operator("ConstantOfShape")
def constant_of_shape(shape: Value, /, *, value: Value | None = None) -> Value:
    """One element repeated; 0.0 by default."""
    element = np.zeros(1, np.float32) if value is None else value
    return np.full(check_size(shape.tolist(), element.dtype), element.reshape(())[()])


@operator("Concat")
def concat(first: Value, /, *others: Value, axis: int) -> Value:
    """Joined along an axis."""
    same_dtype(first, *others)
    return np.concatenate([first, *others], axis)


@operator("Split", max_outputs=1 << 16)
def split(x: Value, sizes: Value | None = None, /, *, num_outputs: int, axis: int = 0) -> list[Value]:
    """Cut along an axis into the given sizes, or evenly into as many parts as the node has outputs."""
    length = x.shape[axis]
    part = -(-length // num_outputs)
    parts = [part] * (num_outputs - 1) + [length - part * (num_outputs - 1)] if sizes is None else sizes.tolist()
    if len(parts) != num_outputs or sum(parts) != length or min(parts) < 0:
        raise BundleError(f"{length} positions cannot be cut into {num_outputs} parts of {parts}")
    return np.split(x, list(accumulate(parts))[:-1], axis)


@operator("Slice")
def slice_axes(x: Value, starts: Value, ends: Value, axes: Value | None = None, steps: Value | None = None, /) -> Value:
    """From start to before end in steps, per axis; out-of-range positions are clamped."""
    along = axes_of(x.ndim, range(starts.size) if axes is None else axes.tolist())
    strides = [1] * len(along) if steps is None else steps.tolist()
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(along, starts.tolist(), ends.tolist(), strides, strict=True):
        index[axis] = _bounds(start, end, step, x.shape[axis])
    return x[tuple(index)]


def _bounds(start: int, end: int, step: int, size: int) -> slice:
    start, end = (bound + size if bound < 0 else bound for bound in (start, end))
    if step > 0:
        return slice(min(max(start, 0), size), min(max(end, 0), size), step)
    end = min(max(end, -1), size - 1)
    return slice(min(max(start, 0), size - 1), None if end < 0 else end, step)


@operator("Gather")
def gather(x: Value, indices: Value, /, *, axis: int = 0) -> Value:
    """The entries at `indices` along an axis; negative ones count from the end."""
    return np.take(x, indices, axis)


@operator("GatherElements")
def gather_elements(x: Value, indices: Value, /, *, axis: int = 0) -> Value:
    """For every index the entry at that position along an axis, at the index's own place along the others."""
    (along,) = axes_of(x.ndim, [axis])
    if indices.ndim != x.ndim or any(
        count > size for place, (count, size) in enumerate(zip(indices.shape, x.shape, strict=True)) if place != along
    ):
        raise BundleError(f"indices of shape {list(indices.shape)} do not fit a value of shape {list(x.shape)}")
    index: list[Value] = list(np.indices(indices.shape, sparse=True))
    index[along] = indices
    return x[tuple(index)]


@operator("Pad")
def pad(x: Value, pads: Value, value: Value | None = None, axes: Value | None = None, /, *, mode: str = "constant") -> Value:
    """Elements added before and after (or, where negative, taken away) per axis."""
    along = axes_of(x.ndim, range(x.ndim) if axes is None else axes.tolist())
    amounts = [[0, 0] for _ in range(x.ndim)]
    numbers = pads.tolist()
    for axis, front, back in zip(along, numbers[: len(along)], numbers[len(along) :], strict=True):
        amounts[axis] = [front, back]
    inner = tuple(slice(max(0, -front), size - max(0, -back)) for (front, back), size in zip(amounts, x.shape, strict=True))
    grown = [(max(0, front), max(0, back)) for front, back in amounts]
    check_size([size + sum(both) for size, both in zip(x.shape, grown, strict=True)], x.dtype)
    if mode == "constant":
        fill = x.dtype.type(0) if value is None else value.reshape(())[()]
        return np.pad(x[inner], grown, constant_values=fill)
    if mode not in ("reflect", "edge"):
        raise BundleError(f"the padding mode {mode!r} is not known")
    return np.pad(x[inner], grown, mode=mode)  # type: ignore[call-overload]
