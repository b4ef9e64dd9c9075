"""Convolutions by ONNX's own operators: any kernel, stride, padding, dilation and groups, over one to three axes.

Forward: Conv. Input gradient: the Conv of the output gradient, with zeros in between where the stride is not 1, with the
flipped kernel, in and out channels swapped; or ConvTranspose with the same geometry. Weight gradient: one MatMul per kernel
tap over the channels-last input,

    dW[:, :, tap] = sum over batch and space of dy[o, position] * x[c, position * stride + tap * dilation]

which runs at the rate of the matrix product, where the Conv form with dy as a huge kernel does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.convolution.windows import pad_space, spaced
from edgebll_export.lowering.shape import cat, crop


def forward(g: GraphBuilder, x: Value, weight: Value, bias: Value | None, geometry: ConvolutionGeometry) -> Value:
    """X (B, C, ...) with weight (O, C / groups, ...) to (B, O, ...)."""
    inputs = [x, weight] if bias is None else [x, weight, bias]
    return g.op("Conv", inputs, geometry.out_shape, **geometry.attributes())


def input_gradient(g: GraphBuilder, grad: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the input (B, C, ...) by Conv with the flipped kernel; zeros stand for what a stride leaves out."""
    apart = spaced(g, grad, geometry.stride)
    before = [r - p for r, p in zip(geometry.reach, geometry.padding, strict=True)]
    sizes = zip(geometry.size, apart.shape[2:], geometry.reach, before, strict=True)
    after = [n - m + r - b for n, m, r, b in sizes]
    if min(*before, *after) < 0:  # Conv cannot crop
        apart = pad_space(g, apart, [min(b, 0) for b in before], [min(a, 0) for a in after])
    pads = [max(count, 0) for count in (*before, *after)]
    attributes = {**geometry.attributes(), "strides": [1] * len(before), "pads": pads}
    return g.op("Conv", [apart, _flipped(g, weight, geometry)], geometry.in_shape, **attributes)


def input_gradient_transposed(g: GraphBuilder, grad: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the input (B, C, ...) by ConvTranspose."""
    attributes = {**geometry.attributes(), "output_padding": list(geometry.left_over)}
    return g.op("ConvTranspose", [grad, weight], geometry.in_shape, **attributes)


def _flipped(g: GraphBuilder, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """(O, C / groups, ...) to (C, O / groups, ...) with every kernel axis reversed."""
    groups, taps = geometry.groups, int(np.prod(geometry.kernel))
    sizes = (geometry.out_channels // groups, geometry.in_channels // groups)
    swapped = g.transpose(g.reshape(weight, (groups, *sizes, taps)), (0, 2, 1, 3))
    rows = g.reshape(swapped, (groups * sizes[0] * sizes[1], taps))
    if taps > 1:
        order = g.constant(np.arange(taps)[::-1].astype(np.int64))
        rows = g.op("Gather", [rows, order], rows.shape, axis=1)
    return g.reshape(rows, (geometry.in_channels, sizes[0], *geometry.kernel))


def weight_gradient(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
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
    joined = g.reshape(cat(g, taps, 0), (len(taps), out_channels, in_channels))
    return g.reshape(g.transpose(joined, (1, 2, 0)), geometry.weight_shape)


def _channels_last(g: GraphBuilder, x: Value, geometry: ConvolutionGeometry) -> Value:
    """The padded input as (groups, B, ..., C / groups)."""
    padded = pad_space(g, x, geometry.padding, geometry.padding)
    space = padded.shape[2:]
    if geometry.groups == 1:  # without the group axis the transpose is a plain one, which is 20 times as fast
        last = g.transpose(padded, (0, *_axes(2, space), 1))
        return g.reshape(last, (1, *last.shape))
    split = g.reshape(padded, (geometry.batch, geometry.groups, geometry.in_channels // geometry.groups, *space))
    return g.transpose(split, (1, 0, *_axes(3, space), 2))


def _grad_rows(g: GraphBuilder, grad: Value, geometry: ConvolutionGeometry) -> Value:
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
