"""Pooling over windows or over all positions, and its opposite, enlarging. Shapes: x (B, C, *space)."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, check_size, operator
from edgebll_devices.runtimes.reference.operators.windows import geometry, windows


def _refuse_column_major(storage_order: int) -> None:
    if storage_order:
        raise BundleError("max pooling that counts positions by columns (storage_order) is not known")


def _refuse_ceil(ceil_mode: int) -> None:
    if ceil_mode:
        raise BundleError("pooling that rounds its output size up (ceil_mode) is not known")


@operator("MaxPool")
def max_pool(
    x: Value,
    /,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilations: Sequence[int] = (),
    ceil_mode: int = 0,
    storage_order: int = 0,
    auto_pad: str = "NOTSET",
) -> Value:
    """Largest value of each window; padding counts as the lowest finite number."""
    _refuse_column_major(storage_order)
    _refuse_ceil(ceil_mode)
    g = geometry(x, kernel_shape, strides, dilations, pads, auto_pad)
    return windows(x, g, float(np.finfo(x.dtype).min)).max(axis=tuple(range(-len(g.kernel), 0)))


@operator("AveragePool")
def average_pool(
    x: Value,
    /,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilations: Sequence[int] = (),
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    auto_pad: str = "NOTSET",
) -> Value:
    """Mean of each window, of its positions inside x unless count_include_pad."""
    _refuse_ceil(ceil_mode)
    g = geometry(x, kernel_shape, strides, dilations, pads, auto_pad)
    over = tuple(range(-len(g.kernel), 0))
    total = windows(x, g, 0.0).sum(axis=over)
    if count_include_pad:
        return total / x.dtype.type(np.prod(g.kernel))
    return total / windows(np.ones_like(x[:1, :1]), g, 0.0).sum(axis=over)


@operator("GlobalAveragePool")
def global_average_pool(x: Value, /) -> Value:
    """Mean over all positions, kept as axes of size 1."""
    return x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)


@operator("GlobalMaxPool")
def global_max_pool(x: Value, /) -> Value:
    """Largest value over all positions, kept as axes of size 1."""
    return x.max(axis=tuple(range(2, x.ndim)), keepdims=True)


@operator("Resize")
def resize(
    x: Value,
    roi: Value | None = None,
    scales: Value | None = None,
    /,
    *,
    mode: str = "nearest",
    nearest_mode: str = "round_prefer_floor",
    coordinate_transformation_mode: str = "half_pixel",
) -> Value:
    """Every element repeated along each axis as often as its scale says; other ways to resize are refused."""
    how = (mode, nearest_mode, coordinate_transformation_mode)
    if how != ("nearest", "floor", "asymmetric") or roi is not None or scales is None:
        raise BundleError("Resize is known only as repeating: mode nearest, floor, asymmetric, with scales and no region")
    counts = [int(scale) for scale in scales]
    if len(counts) != x.ndim or min(counts, default=1) < 1 or (scales != np.array(counts)).any():
        raise BundleError(f"the scales {scales.tolist()} are not whole numbers for a value of {x.ndim} axes")
    check_size([size * count for size, count in zip(x.shape, counts, strict=True)], x.dtype)
    for axis, count in enumerate(counts):
        x = np.repeat(x, count, axis)
    return x
