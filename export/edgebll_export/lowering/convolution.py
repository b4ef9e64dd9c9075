"""Convolutions of one and two spatial axes with stride, padding, dilation, groups and bias, and their gradients.

Input gradient: ConvTranspose with the same geometry. Weight gradient: one MatMul per kernel tap over the channels-last input,

    dW[:, :, tap] = sum over batch and space of dy[o, position] * x[c, position * stride + tap * dilation]

which runs at the rate of the matrix product, where the Conv form with dy as a huge kernel does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

from edgebll.errors import ExportError
from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import cat, crop, pad
from edgebll_export.registry import lowering

_FAMILY = "convolution"


def _refuse(x: Value, transposed: bool) -> None:
    if transposed:
        raise ExportError("a transposed convolution has no lowering yet; use an upsampling and a convolution")
    if len(x.shape) not in (3, 4):
        raise ExportError(f"a convolution over {len(x.shape) - 2} axes has no lowering yet; 1 and 2 have")


@lowering("aten.convolution.default", family=_FAMILY)
def convolution(
    g: GraphBuilder,
    x: Value,
    weight: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
) -> Value:
    """X (B, C, ...) with weight (O, C / groups, ...) to (B, O, ...)."""
    _refuse(x, transposed)
    kernel = weight.shape[2:]
    geometry = zip(x.shape[2:], kernel, stride, padding, dilation, strict=True)
    out = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in geometry]
    inputs = [x, weight] if bias is None else [x, weight, bias]
    attributes = _attributes(kernel, stride, padding, dilation, groups)
    return g.op("Conv", inputs, (x.shape[0], weight.shape[0], *out), **attributes)


def _attributes(
    kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int
) -> dict[str, Any]:
    return {
        "kernel_shape": list(kernel),
        "strides": list(stride),
        "pads": [*padding, *padding],
        "dilations": list(dilation),
        "group": groups,
    }


@lowering("aten.convolution_backward.default", family=_FAMILY)
def convolution_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    weight: Value,
    _bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    _output_padding: Sequence[int],
    groups: int,
    mask: Sequence[bool],
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients of input, weight and bias."""
    _refuse(x, transposed)
    grad = g.dense(grad)
    space = range(2, len(x.shape))
    dx = input_gradient(g, grad, x, weight, stride, padding, dilation, groups) if mask[0] else None
    dw = weight_gradient(g, grad, x, weight, stride, padding, dilation, groups) if mask[1] else None
    db = reduce(g, "ReduceSum", grad, [0, *space], False) if mask[2] else None
    return dx, dw, db


def input_gradient(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    weight: Value,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """ConvTranspose; output_padding makes up for the positions a stride leaves over."""
    kernel = weight.shape[2:]
    geometry = zip(x.shape[2:], grad.shape[2:], kernel, stride, padding, dilation, strict=True)
    left_over = [n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, k, s, p, d in geometry]
    attributes = _attributes(kernel, stride, padding, dilation, groups)
    return g.op("ConvTranspose", [grad, weight], x.shape, output_padding=left_over, **attributes)


def weight_gradient(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    weight: Value,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Value:
    """One MatMul per tap: (groups, O/groups, positions) by (groups, positions, C/groups)."""
    batch, out_channels, *out = grad.shape
    in_channels, kernel = x.shape[1], weight.shape[2:]
    num_axes = len(out)
    space = list(range(3, 3 + num_axes))
    positions = batch * math.prod(out)
    padded = pad(g, x, [0, 0, *padding], [0, 0, *padding])
    if groups == 1:  # without the group axis the transposes are plain ones, which are 20 times as fast
        last = g.transpose(padded, (0, *range(2, 2 + num_axes), 1))
        last = g.reshape(last, (1, *last.shape))
        rows = g.transpose(grad, (1, 0, *range(2, 2 + num_axes)))
    else:
        last = g.reshape(padded, (batch, groups, in_channels // groups, *padded.shape[2:]))
        last = g.transpose(last, (1, 0, *space, 2))
        rows = g.transpose(g.reshape(grad, (batch, groups, out_channels // groups, *out)), (1, 2, 0, *space))
    rows = g.reshape(rows, (groups, out_channels // groups, positions))
    axes = list(range(2, 2 + num_axes))
    taps = []
    for tap in product(*(range(size) for size in kernel)):
        starts = [t * d for t, d in zip(tap, dilation, strict=True)]
        ends = [start + (n - 1) * s + 1 for start, n, s in zip(starts, out, stride, strict=True)]
        window = g.reshape(crop(g, last, axes, starts, ends, list(stride)), (groups, positions, in_channels // groups))
        taps.append(g.op("MatMul", [rows, window], (groups, out_channels // groups, in_channels // groups)))
    joined = cat(g, [g.reshape(one, (out_channels, 1, in_channels // groups)) for one in taps], 1)
    return g.reshape(g.transpose(joined, (0, 2, 1)), weight.shape)
