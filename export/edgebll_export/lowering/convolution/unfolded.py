"""Convolutions of few channels as one matrix product a sample with the unfolded input, (B, C * taps, positions).

    y_b = W columns_b,   dW = sum over samples of dy_b columns_b^T          W (O, C * taps)

The input is unfolded by a Conv whose kernels are the unit vectors: it pads, strides and dilates by itself and runs on all
threads, where ONNX Runtime's Slice and Pad run on one. Forward pass and weight gradient share it: equal nodes are one.
"""

from __future__ import annotations

import math

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry


def forward(g: GraphBuilder, x: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """X (B, C, ...) with weight (O, C, ...) to (B, O, ...); one group."""
    rows, places = geometry.in_channels * math.prod(geometry.kernel), math.prod(geometry.out)
    inputs = [g.reshape(weight, (geometry.out_channels, rows)), _columns(g, x, geometry)]
    return g.reshape(g.op("MatMul", inputs, (geometry.batch, geometry.out_channels, places)), geometry.out_shape)


def weight_gradient(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (O, C, ...); one group."""
    rows, places = geometry.in_channels * math.prod(geometry.kernel), math.prod(geometry.out)
    batch, out_channels = geometry.batch, geometry.out_channels
    columns = g.transpose(_columns(g, x, geometry), (0, 2, 1))
    products = g.op("MatMul", [g.reshape(grad, (batch, out_channels, places)), columns], (batch, out_channels, rows))
    total = g.op("ReduceSum", [products, g.constant(np.array([0], np.int64))], (out_channels, rows), keepdims=0)
    return g.reshape(total, geometry.weight_shape)


def _columns(g: GraphBuilder, x: Value, geometry: ConvolutionGeometry) -> Value:
    """What each tap of each channel sees: (B, C * taps, positions)."""
    channels, taps = geometry.in_channels, math.prod(geometry.kernel)
    unit = np.tile(np.eye(taps, dtype=np.float32), (channels, 1)).reshape(channels * taps, 1, *geometry.kernel)
    attributes = {**geometry.attributes(), "group": channels}
    seen = g.op("Conv", [x, g.constant(unit, x.dtype)], (geometry.batch, channels * taps, *geometry.out), **attributes)
    return g.reshape(seen, (geometry.batch, channels * taps, math.prod(geometry.out)))
