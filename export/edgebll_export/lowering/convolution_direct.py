"""Convolutions by ONNX's own operators: any kernel, stride, padding, dilation and groups.

Forward: Conv. Input gradient: for stride 1 the Conv of the output gradient with the flipped kernel, in and out channels
swapped; otherwise ConvTranspose with the same geometry. Weight gradient: one MatMul per kernel tap over the channels-last
input,

    dW[:, :, tap] = sum over batch and space of dy[o, position] * x[c, position * stride + tap * dilation]

which runs at the rate of the matrix product, where the Conv form with dy as a huge kernel does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.convolution_geometry import Geometry
from edgebll_export.lowering.shape import cat, crop, pad


def forward(g: GraphBuilder, x: Value, weight: Value, bias: Value | None, geometry: Geometry) -> Value:
    """X (B, C, ...) with weight (O, C / groups, ...) to (B, O, ...)."""
    inputs = [x, weight] if bias is None else [x, weight, bias]
    return g.op("Conv", inputs, geometry.out_shape, **geometry.attributes())


def input_gradient(g: GraphBuilder, grad: Value, weight: Value, geometry: Geometry) -> Value:
    """Gradient of the input (B, C, ...) by Conv with the flipped kernel where the stride is 1, else by ConvTranspose."""
    before = [r - p for r, p in zip(_reach(geometry), geometry.padding, strict=True)]
    if set(geometry.stride) != {1} or geometry.groups != 1 or min(before) < 0:
        return input_gradient_transposed(g, grad, weight, geometry)
    attributes = {**geometry.attributes(), "pads": [*before, *before]}
    return g.op("Conv", [grad, _flipped(g, weight)], geometry.in_shape, **attributes)


def input_gradient_transposed(g: GraphBuilder, grad: Value, weight: Value, geometry: Geometry) -> Value:
    """Gradient of the input (B, C, ...) by ConvTranspose."""
    sizes = zip(geometry.size, geometry.out, geometry.stride, geometry.padding, _reach(geometry), strict=True)
    left_over = [n - ((m - 1) * s - 2 * p + r + 1) for n, m, s, p, r in sizes]
    return g.op("ConvTranspose", [grad, weight], geometry.in_shape, output_padding=left_over, **geometry.attributes())


def _reach(geometry: Geometry) -> list[int]:
    """Distance from the first to the last tap along each axis."""
    return [d * (k - 1) for d, k in zip(geometry.dilation, geometry.kernel, strict=True)]


def _flipped(g: GraphBuilder, weight: Value) -> Value:
    """(O, C, ...) to (C, O, ...) with every kernel axis reversed."""
    out_channels, in_channels, *kernel = weight.shape
    taps = int(np.prod(kernel))
    swapped = g.transpose(weight, (1, 0, *range(2, len(weight.shape))))
    if taps == 1:
        return swapped
    rows = g.reshape(swapped, (in_channels * out_channels, taps))
    order = g.constant(np.arange(taps)[::-1].astype(np.int64))
    return g.reshape(g.op("Gather", [rows, order], rows.shape, axis=1), swapped.shape)


def weight_gradient(g: GraphBuilder, grad: Value, x: Value, geometry: Geometry) -> Value:
    """One MatMul per tap: (groups, O/groups, positions) by (groups, positions, C/groups)."""
    groups, out_channels, in_channels = geometry.groups, geometry.out_channels, geometry.in_channels // geometry.groups
    last, rows = _channels_last(g, x, geometry), _grad_rows(g, grad, geometry)
    axes = list(range(2, 2 + len(geometry.out)))
    taps = []
    for tap in product(*(range(size) for size in geometry.kernel)):
        starts = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
        ends = [start + (n - 1) * s + 1 for start, n, s in zip(starts, geometry.out, geometry.stride, strict=True)]
        window = crop(g, last, axes, starts, ends, list(geometry.stride))
        window = g.reshape(window, (groups, geometry.positions, in_channels))
        taps.append(g.op("MatMul", [rows, window], (groups, out_channels // groups, in_channels)))
    joined = cat(g, [g.reshape(one, (out_channels, 1, in_channels)) for one in taps], 1)
    return g.reshape(g.transpose(joined, (0, 2, 1)), geometry.weight_shape)


def _channels_last(g: GraphBuilder, x: Value, geometry: Geometry) -> Value:
    """The padded input as (groups, B, ..., C / groups)."""
    padded = pad(g, x, [0, 0, *geometry.padding], [0, 0, *geometry.padding])
    space = padded.shape[2:]
    if geometry.groups == 1:  # without the group axis the transpose is a plain one, which is 20 times as fast
        last = g.transpose(padded, (0, *_axes(2, space), 1))
        return g.reshape(last, (1, *last.shape))
    split = g.reshape(padded, (geometry.batch, geometry.groups, geometry.in_channels // geometry.groups, *space))
    return g.transpose(split, (1, 0, *_axes(3, space), 2))


def _grad_rows(g: GraphBuilder, grad: Value, geometry: Geometry) -> Value:
    """The output gradient as (groups, O / groups, positions)."""
    groups, group_size = geometry.groups, geometry.out_channels // geometry.groups
    if groups == 1:
        rows = g.transpose(grad, (1, 0, *_axes(2, geometry.out)))
    else:
        split = g.reshape(grad, (geometry.batch, groups, group_size, *geometry.out))
        rows = g.transpose(split, (1, 2, 0, *_axes(3, geometry.out)))
    return g.reshape(rows, (groups, group_size, geometry.positions))


def _axes(first: int, sizes: Sequence[int]) -> range:
    return range(first, first + len(sizes))
