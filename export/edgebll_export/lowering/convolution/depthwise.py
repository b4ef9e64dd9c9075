"""Weight gradients of depthwise convolutions: every input channel has filters of its own.

    products: for each tap, dW[c, :, tap] = sum over batch and space of dy * the shifted input, as it stands: Mul and ReduceSum.
    bands:    along the last axis every input column times every output column, one product of matrices for each channel, of
              which the diagonals are the taps; along the other axes the rows that the taps see stand side by side. More
              arithmetic than needed, by the width over the kernel's, but at the rate of matrix products.
    planes:   Conv with dy as its kernels, a group for every channel of every sample, then the sum over samples. Stride and
              dilation change places.

The MatMul per tap of the general form has one row and one column here, which is ONNX Runtime's slowest way to sum.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.columns import window
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.convolution.windows import pad_space
from edgebll_export.lowering.convolution.windows import window as rows_window
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import cat, crop, pad


def weight_gradient_by_products(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (C * M, 1, ...) with M filters for each of C channels."""
    batch, channels = geometry.batch, geometry.in_channels
    filters, axes = geometry.out_channels // channels, len(geometry.out)
    padded = pad(g, x, [0, 0, *geometry.padding], [0, 0, *geometry.padding])
    rows = g.reshape(grad, (batch, channels, filters, *geometry.out))
    taps = []
    for tap in product(*map(range, geometry.kernel)):
        seen = g.reshape(window(g, padded, tap, geometry), (batch, channels, 1, *geometry.out))
        total = reduce(g, "ReduceSum", g.op("Mul", [seen, rows], rows.shape), [0, *range(3, 3 + axes)], False)
        taps.append(g.reshape(total, (channels * filters, 1)))
    return g.reshape(cat(g, taps, 1), geometry.weight_shape)


def weight_gradient_by_bands(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (C, 1, ...) with one filter for each of C channels."""
    channels, width, columns = geometry.in_channels, geometry.size[-1], geometry.out[-1]
    rows, taps = geometry.positions // columns, math.prod(geometry.kernel[:-1])
    order = (1, 0, *range(2, 2 + len(geometry.out)))
    padded = pad_space(g, g.transpose(x, order), [*geometry.padding[:-1], 0], [*geometry.padding[:-1], 0])
    shape, steps = (*geometry.out[:-1], width), (*geometry.stride[:-1], 1)
    starts = (
        [t * d for t, d in zip(tap, geometry.dilation, strict=False)] for tap in product(*map(range, geometry.kernel[:-1]))
    )
    seen = cat(g, [rows_window(g, padded, [*start, 0], shape, steps) for start in starts], -1)
    seen = g.transpose(g.reshape(seen, (channels, rows, taps * width)), (0, 2, 1))
    grads = g.reshape(g.transpose(grad, order), (channels, rows, columns))
    pairs = g.op("MatMul", [seen, grads], (channels, taps * width, columns))
    flat = g.reshape(pairs, (channels * taps, width * columns))
    picked = g.op("MatMul", [flat, g.constant(_diagonals(geometry), x.dtype)], (channels * taps, geometry.kernel[-1]))
    return g.reshape(picked, geometry.weight_shape)


def _diagonals(geometry: ConvolutionGeometry) -> npt.NDArray[np.float32]:
    """1 where an input column and an output column, (width * columns), meet in a tap (kernel) of the last axis."""
    column = np.arange(geometry.out[-1])
    result = np.zeros((geometry.size[-1], geometry.out[-1], geometry.kernel[-1]), np.float32)
    for tap in range(geometry.kernel[-1]):
        place = column * geometry.stride[-1] - geometry.padding[-1] + tap * geometry.dilation[-1]
        inside = (place >= 0) & (place < geometry.size[-1])
        result[place[inside], column[inside], tap] = 1
    return result.reshape(-1, geometry.kernel[-1])


def weight_gradient_by_planes(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (C * M, 1, ...) with M filters for each of C channels."""
    planes, kernels = geometry.batch * geometry.in_channels, geometry.batch * geometry.out_channels
    after = _after(geometry)  # less than 0 where rows at the end are left over
    axes = list(range(2, 2 + len(after)))
    used = [min(n, n + end) for n, end in zip(geometry.size, after, strict=True)]
    x = crop(g, x, axes, [0] * len(axes), used, [1] * len(axes))
    attributes: dict[str, Any] = {
        "group": planes,
        "kernel_shape": list(geometry.out),
        "strides": list(geometry.dilation),
        "dilations": list(geometry.stride),
        "pads": [*geometry.padding, *(max(0, end) for end in after)],
    }
    inputs = [g.reshape(x, (1, planes, *used)), g.reshape(grad, (kernels, 1, *geometry.out))]
    taps = g.op("Conv", inputs, (1, kernels, *geometry.kernel), **attributes)
    size = (geometry.batch, geometry.out_channels * math.prod(geometry.kernel))
    total = g.op("ReduceSum", [g.reshape(taps, size), g.constant(np.array([0], np.int64))], size[1:], keepdims=0)
    return g.reshape(total, geometry.weight_shape)


def _after(geometry: ConvolutionGeometry) -> list[int]:
    """Padding at the end of each axis that gives just as many shifts as taps."""
    reach = zip(geometry.size, geometry.padding, geometry.out, geometry.kernel, geometry.stride, geometry.dilation, strict=True)
    return [(k - 1) * d + (m - 1) * s + 1 - n - p for n, p, m, k, s, d in reach]
