"""Sliding windows as tensors (nn.Unfold, Tensor.unfold) and their adjoints, which add up what overlaps (nn.Fold)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import pick, spread
from edgebll_export.lowering.convolution.convolution import input_gradient
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.shape import crop, pad
from edgebll_export.lowering_registry import lowering

_FAMILY = "sliding windows"
#: More overlapping windows than this are added up by a product with a matrix of zeros and ones instead.
_MAX_OVERLAP = 32


def _unit(g: GraphBuilder, kernel: Sequence[int], channels: int, dtype: str) -> Value:
    """Kernels (channels * taps, 1, *kernel) with a single 1 each: every tap sees itself."""
    taps = math.prod(kernel)
    return g.constant(np.tile(np.eye(taps, dtype=np.float32), (channels, 1)).reshape(channels * taps, 1, *kernel), dtype)


@lowering("aten.im2col.default", family=_FAMILY)
def im2col(g: GraphBuilder, x: Value, kernel: Sequence[int], dilation: Sequence[int], *places: Sequence[int]) -> Value:
    """What each tap of each channel sees, (B, C * taps, windows), by a convolution with kernels of a single 1."""
    if len(x.shape) == 3:
        columns = im2col(g, g.reshape(x, (1, *x.shape)), kernel, dilation, *places)
        return g.reshape(columns, columns.shape[1:])
    padding, stride = places
    channels = x.shape[1]
    unit = _unit(g, kernel, channels, x.dtype)
    geometry = ConvolutionGeometry.of(x, unit, stride, padding, dilation, channels)
    seen = g.op("Conv", [x, unit], geometry.out_shape, **geometry.attributes())
    return g.reshape(seen, (x.shape[0], unit.shape[0], math.prod(geometry.out)))


@lowering("aten.col2im.default", family=_FAMILY)
def col2im(
    g: GraphBuilder, x: Value, size: Sequence[int], kernel: Sequence[int], dilation: Sequence[int], *places: Sequence[int]
) -> Value:
    """The adjoint of `im2col`: what every window holds is added where it came from, (B, C, *size)."""
    if len(x.shape) == 2:
        image = col2im(g, g.reshape(x, (1, *x.shape)), size, kernel, dilation, *places)
        return g.reshape(image, image.shape[1:])
    padding, stride = places
    taps = math.prod(kernel)
    many = x.shape[0] * x.shape[1] // taps
    rows = zip(size, kernel, stride, padding, dilation, strict=True)
    out = tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in rows)
    sizes: list[Any] = [tuple(part) for part in (size, out, kernel, stride, padding, dilation)]
    geometry = ConvolutionGeometry(many, 1, taps, 1, *sizes)
    windows = g.reshape(x, (many, taps, *out))
    image = input_gradient(g, windows, _unit(g, kernel, 1, x.dtype), geometry)
    return g.reshape(image, (x.shape[0], many // x.shape[0], *size))


@lowering("aten.unfold.default", family=_FAMILY)
def unfold(g: GraphBuilder, x: Value, axis: int, size: int, step: int) -> Value:
    """Windows along an axis, which counts them; their elements are a new last axis."""
    if not x.shape:
        return g.reshape(x, (size,))
    axis %= len(x.shape)
    count = (x.shape[axis] - size) // step + 1
    starts = np.arange(count, dtype=np.int64)[:, None] * step
    picked = pick(g, x, axis, starts + np.arange(size, dtype=np.int64))
    order = [a for a in range(len(picked.shape)) if a != axis + 1]
    return g.transpose(picked, [*order, axis + 1])


@lowering("aten.unfold_backward.default", family=_FAMILY)
def unfold_backward(g: GraphBuilder, grad: Value, shape: Sequence[int], axis: int, size: int, step: int) -> Value:
    """The adjoint of `unfold`.

    A window is cut into parts as long as the step. Parts of the same place in their windows lie side by side, so that each
    place is one addition of a shifted row.
    """
    if not shape:
        return g.reshape(grad, ())
    axis %= len(shape)
    rank, count = len(shape), grad.shape[axis]
    windows = g.transpose(grad, [*range(axis + 1), rank, *range(axis + 1, rank)])
    lead, tail = windows.shape[:axis], windows.shape[axis + 2 :]
    parts = -(-size // step)
    if parts > _MAX_OVERLAP:
        places = (np.arange(count)[:, None] * step + np.arange(size)).reshape(-1)
        return spread(g, g.reshape(windows, (*lead, count * size, *tail)), axis, places, shape[axis])
    total = None
    for part in range(parts):
        length = min(step, size - part * step)
        row = crop(g, windows, [axis + 1], [part * step], [part * step + length], [1])
        row = _padded(g, row, axis + 1, 0, step - length)
        row = g.reshape(row, (*lead, count * step, *tail))
        end = shape[axis] - (part + count) * step
        row = _padded(g, row, axis, part * step, end)
        total = row if total is None else binary(g, "Add", total, row)
    return replace(total, shape=tuple(shape)) if total is not None else grad


def _padded(g: GraphBuilder, x: Value, axis: int, before: int, after: int) -> Value:
    """Zeros along one axis; a negative count at the end crops."""
    if after < 0:
        x, after = crop(g, x, [axis], [0], [x.shape[axis] + after], [1]), 0
    front, back = ([number if place == axis else 0 for place in range(len(x.shape))] for number in (before, after))
    return pad(g, x, front, back)
