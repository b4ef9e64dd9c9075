"""Weight gradients of depthwise convolutions: every input channel has filters of its own.

    products: for each tap, dW[c, :, tap] = sum over batch and space of dy * the shifted input, as it stands: Mul and ReduceSum.
    planes:   Conv with dy as its kernels, a group for every channel of every sample, then the sum over samples. Stride and
              dilation change places.

The MatMul per tap of the general form has one row and one column here, which is ONNX Runtime's slowest way to sum.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.convolution_columns import window
from edgebll_export.lowering.convolution_geometry import Geometry
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import cat, crop, pad


def weight_gradient_by_products(g: GraphBuilder, grad: Value, x: Value, geometry: Geometry) -> Value:
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


def weight_gradient_by_planes(g: GraphBuilder, grad: Value, x: Value, geometry: Geometry) -> Value:
    """Gradient of the weight (C * M, 1, ...) with M filters for each of C channels."""
    planes, kernels = geometry.batch * geometry.in_channels, geometry.batch * geometry.out_channels
    reach = zip(geometry.size, geometry.padding, geometry.out, geometry.stride, geometry.dilation, strict=True)
    shifts = [
        (n + 2 * p - ((m - 1) * s + 1)) // d + 1 for n, p, m, s, d in reach
    ]  # a few more than taps, where rows are left over
    shared: dict[str, Any] = {
        "strides": list(geometry.dilation),
        "dilations": list(geometry.stride),
        "pads": [*geometry.padding] * 2,
    }
    inputs = [g.reshape(x, (1, planes, *geometry.size)), g.reshape(grad, (kernels, 1, *geometry.out))]
    found = g.op("Conv", inputs, (1, kernels, *shifts), group=planes, kernel_shape=list(geometry.out), **shared)
    axes = list(range(2, 2 + len(shifts)))
    taps = crop(g, found, axes, [0] * len(axes), list(geometry.kernel), [1] * len(axes))
    size = (geometry.batch, geometry.out_channels * math.prod(geometry.kernel))
    total = g.op("ReduceSum", [g.reshape(taps, size), g.constant(np.array([0], np.int64))], size[1:], keepdims=0)
    return g.reshape(total, geometry.weight_shape)
