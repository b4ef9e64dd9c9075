"""The weight gradient of a convolution as one Conv, whose kernel is the gradient of the output.

    dW[o, c, tap] = sum over batch and positions of dy[b, o, position] * x[b, c, position * stride + tap * dilation]

Stride and dilation are swapped. One node, where a MatMul for each tap moves the input once a tap; but ONNX Runtime is slow at
kernels as large as the output, so only compact targets take it.
"""

from __future__ import annotations

from typing import Any

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.convolution.windows import pad_space


def weight_gradient(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (O, C / groups, ...).

    Samples and groups are the channels that the Conv sums over: x is (C / groups, groups * B, ...), the kernel (O, B, ...).
    """
    groups, inner, batch = geometry.groups, geometry.in_channels // geometry.groups, geometry.batch
    # Elements at the end that no window sees would make the kernel's image longer than the weight.
    after = [padding - rest for padding, rest in zip(geometry.padding, geometry.left_over, strict=True)]
    x = pad_space(g, x, [0] * len(after), [min(count, 0) for count in after])
    apart = g.reshape(x, (batch, groups, inner, *x.shape[2:]))
    space = tuple(range(3, len(apart.shape)))
    rows = g.reshape(g.transpose(apart, (2, 1, 0, *space)), (inner, groups * batch, *x.shape[2:]))
    kernel = g.transpose(grad, (1, 0, *(axis - 1 for axis in space)))
    attributes: dict[str, Any] = {
        "kernel_shape": list(geometry.out),
        "strides": list(geometry.dilation),
        "dilations": list(geometry.stride),
        "pads": [*geometry.padding, *(max(count, 0) for count in after)],
        "group": groups,
    }
    found = g.op("Conv", [rows, kernel], (inner, geometry.out_channels, *geometry.kernel), **attributes)
    return g.transpose(found, (1, 0, *(axis - 1 for axis in space)))
