"""Operators that change only the shape, or tell it."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, axes_of, check_size, operator


@operator("Reshape")
def reshape(x: Value, shape: Value, /, *, allowzero: int = 0) -> Value:
    """The same elements in another shape: -1 takes what is left, 0 keeps the size unless allowzero."""
    sizes = shape.tolist()
    if not allowzero:
        if any(size == 0 and axis >= x.ndim for axis, size in enumerate(sizes)):
            raise BundleError(f"the shape {sizes} keeps an axis that {list(x.shape)} does not have")
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


@operator("Flatten")
def flatten(x: Value, /, *, axis: int = 1) -> Value:
    """A matrix: the axes before `axis` are its rows, the others its columns."""
    if not -x.ndim <= axis <= x.ndim:
        raise BundleError(f"axis {axis} does not fit a value of {x.ndim} axes")
    rows = x.shape[: axis + x.ndim if axis < 0 else axis]
    return x.reshape(math.prod(rows), math.prod(x.shape[len(rows) :]))


@operator("Transpose")
def transpose(x: Value, /, *, perm: Sequence[int] = ()) -> Value:
    """Axes in another order, reversed by default."""
    return x.transpose(tuple(perm) or None)


@operator("Squeeze")
def squeeze(x: Value, axes: Value | None = None, /) -> Value:
    """Without the given axes of size 1, or without all such."""
    return x.squeeze(None if axes is None else axes_of(x.ndim, axes.tolist()))


@operator("Unsqueeze")
def unsqueeze(x: Value, axes: Value, /) -> Value:
    """With axes of size 1 at the given places of the result."""
    return np.expand_dims(x, axes_of(x.ndim + axes.size, axes.tolist()))


@operator("Expand")
def expand(x: Value, shape: Value, /) -> Value:
    """Broadcast to the common shape of x and `shape`."""
    return np.broadcast_to(x, check_size(np.broadcast_shapes(x.shape, tuple(shape.tolist())), x.dtype))


@operator("Tile")
def tile(x: Value, repeats: Value, /) -> Value:
    """Repeated along every axis."""
    check_size([size * count for size, count in zip(x.shape, repeats.tolist(), strict=True)], x.dtype)
    return np.tile(x, repeats.tolist())


@operator("Shape")
def shape_of(x: Value, /, *, start: int = 0, end: int | None = None) -> Value:
    """Sizes of the axes from `start` to before `end`."""
    return np.array(x.shape[start:end], np.int64)


@operator("Size")
def size_of(x: Value, /) -> Value:
    """Number of elements."""
    return np.array(x.size, np.int64)
