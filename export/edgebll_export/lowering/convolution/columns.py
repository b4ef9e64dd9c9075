"""Weight gradients of convolutions as one matrix product over all kernel taps, or one per sample.

columns: dW (O, C * taps) = dy (O, positions) times the unfolded input (C * taps, positions) transposed, which is the weight
         as it lies: nothing as large as the weight is moved afterwards.
samples: kernels of one tap; dW = the sum over samples of dy_b (O, positions) times x_b (C, positions) transposed: nothing
         as large as the input is moved before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.shape import cat, crop, pad


def weight_gradient_by_columns(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (O, C, ...); one group."""
    channels, out_channels, positions = geometry.in_channels, geometry.out_channels, geometry.positions
    padded = pad(g, x, [0, 0, *geometry.padding], [0, 0, *geometry.padding])
    order = (1, 0, *range(2, len(x.shape)))
    windows = [window(g, g.transpose(padded, order), tap, geometry) for tap in product(*map(range, geometry.kernel))]
    columns = cat(g, [g.reshape(one, (channels, 1, positions)) for one in windows], 1)
    rows = g.reshape(g.transpose(grad, order), (out_channels, positions))
    size = channels * len(windows)
    flat = g.op("Gemm", [rows, g.reshape(columns, (size, positions))], (out_channels, size), transB=1)
    return g.reshape(flat, geometry.weight_shape)


def weight_gradient_by_samples(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (O, C, 1, ...); one group, one tap."""
    padded = pad(g, x, [0, 0, *geometry.padding], [0, 0, *geometry.padding])
    seen = window(g, padded, [0] * len(geometry.out), geometry)
    batch, places = geometry.batch, math.prod(geometry.out)
    columns = g.transpose(g.reshape(seen, (batch, geometry.in_channels, places)), (0, 2, 1))
    rows = g.reshape(grad, (batch, geometry.out_channels, places))
    shape = (geometry.out_channels, geometry.in_channels)
    products = g.op("MatMul", [rows, columns], (batch, *shape))
    total = g.op("ReduceSum", [products, g.constant(np.array([0], np.int64))], shape, keepdims=0)
    return g.reshape(total, geometry.weight_shape)


def window(g: GraphBuilder, padded: Value, tap: Sequence[int], geometry: ConvolutionGeometry) -> Value:
    """What one tap sees: the padded input (B, C, ...) at every output position."""
    starts = [t * d for t, d in zip(tap, geometry.dilation, strict=True)]
    ends = [start + (n - 1) * s + 1 for start, n, s in zip(starts, geometry.out, geometry.stride, strict=True)]
    return crop(g, padded, list(range(2, 2 + len(starts))), starts, ends, list(geometry.stride))
