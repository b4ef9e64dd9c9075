"""Nodes without a memory: what they make of the values of one time step, in plain numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgebll_export.nir.graph import GraphNode, Shape
from edgebll_export.nir.shapes import axes_of, paddings

#: Makes of the values (B, ...) of one time step what a node gives.
Transform = Callable[[np.ndarray], np.ndarray]


def make_transform(node: GraphNode, shape: Shape, dtype: np.dtype) -> Transform:
    """How a node without a memory computes.

    Args:
        node: it.
        shape: of what it gives, without the batch axis.
        dtype: to compute in.
    """
    values = {key: value.astype(dtype) for key, value in node.values.items() if _is_float(value)}
    if node.kind in ("Input", "Output"):
        return lambda x: x
    if node.kind == "Flatten":
        return lambda x: x.reshape(x.shape[0], *shape)
    if node.kind == "Threshold":
        return lambda x: (x > values["threshold"]).astype(dtype)
    if node.kind == "Scale":
        return lambda x: x * values["scale"]
    if node.kind in ("Affine", "Linear"):
        bias = values.get("bias", np.zeros((), dtype))
        return lambda x: x @ values["weight"].T + bias
    if node.kind in ("SumPool2d", "AvgPool2d"):
        return _pooling(node)
    return _convolution(node, values["weight"], values["bias"])


def _is_float(value: object) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _windows(x: np.ndarray, node: GraphNode, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> np.ndarray:
    """All windows of x (B, C, *sizes) as (B, C, *places, *kernel)."""
    axes = tuple(range(2, 2 + len(kernel)))
    padded = np.pad(x, [(0, 0), (0, 0), *paddings(node, kernel, dilation)])
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    windows = np.lib.stride_tricks.sliding_window_view(padded, spans, axis=axes)
    strides = [slice(None, None, s) for s in axes_of(node, "stride", len(kernel))]
    return windows[(slice(None), slice(None), *strides, *(slice(None, None, d) for d in dilation))]


def _pooling(node: GraphNode) -> Transform:
    kernel = axes_of(node, "kernel_size", 2)
    # Zeros around the picture count, as in PyTorch: an average is the sum over the size of the window.
    share = kernel[0] * kernel[1] if node.kind == "AvgPool2d" else 1

    def pool(x: np.ndarray) -> np.ndarray:
        result: np.ndarray = _windows(x, node, kernel, (1, 1)).sum(axis=(-2, -1)) / x.dtype.type(share)
        return result

    return pool


def _convolution(node: GraphNode, weight: np.ndarray, bias: np.ndarray) -> Transform:
    kernel, groups = tuple(weight.shape[2:]), axes_of(node, "groups", 1)[0]
    dilation = axes_of(node, "dilation", len(kernel))
    # (groups, outputs of each, inputs of each * taps)
    matrix = weight.reshape(groups, weight.shape[0] // groups, -1)

    def convolve(x: np.ndarray) -> np.ndarray:
        windows = _windows(x, node, kernel, dilation)
        batch, channels, places = x.shape[0], x.shape[1], windows.shape[2 : 2 + len(kernel)]
        taps = windows.reshape(batch, groups, channels // groups, int(np.prod(places)), -1)
        columns = taps.transpose(0, 1, 2, 4, 3).reshape(batch, groups, matrix.shape[2], -1)
        result: np.ndarray = (matrix @ columns).reshape(batch, weight.shape[0], *places)
        result += bias.reshape(-1, *(1 for _ in kernel))
        return result

    return convolve
