"""Pooling for compact targets: no operator of its own, no matrices, and no constant as large as what is pooled.

Average: a Conv of one channel, (B * C, 1, *space), whose kernel is one number, repeated; where windows reach beyond the edge, a
factor for each place along the axis besides. Its gradient is the ConvTranspose with the same kernel.

Maximum: windows side by side are axes of their own, (B * C, h, kh, w, kw), of which two are reduced; other windows are the
maximum of one slice for each tap. The gradient goes to the first maximum of a window, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution import direct
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.convolution.windows import Windows
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import filled


def adaptive_windows(size: Sequence[int], cells: Sequence[int]) -> Windows | None:
    """Windows that are the cells of adaptive pooling, where all of an axis are as long and as far apart; else None."""
    kernels, strides = [], []
    for n, m in zip(size, cells, strict=True):
        starts, ends = np.arange(m) * n // m, -(-np.arange(1, m + 1) * n // m)
        lengths, steps = set((ends - starts).tolist()), set(np.diff(starts).tolist()) or {n}
        if len(lengths) > 1 or len(steps) > 1 or 0 in steps:  # no step: more cells than places
            return None
        kernels.append(lengths.pop())
        strides.append(steps.pop())
    return Windows.of(size, kernels, strides)


def average(g: GraphBuilder, x: Value, windows: Windows, divisor: int | None, factors: Sequence[np.ndarray]) -> Value:
    """Mean of each window, (..., *space) to (..., *out).

    Args:
        g: the graph.
        x: (..., *space).
        windows: that reach no further than the padding, on one or two axes.
        divisor: what sums are divided by; the size of a window if None.
        factors: for each axis a factor (out) for every place along it.
    """
    geometry = _geometry(x, windows)
    pooled = direct.forward(g, g.reshape(x, geometry.in_shape), _kernel(g, x.dtype, windows, divisor), None, geometry)
    return g.reshape(_scaled(g, pooled, factors), (*x.shape[: -len(windows.size)], *windows.out))


def average_gradient(
    g: GraphBuilder, grad: Value, windows: Windows, divisor: int | None, factors: Sequence[np.ndarray]
) -> Value:
    """Gradient of `average`, (..., *out) to (..., *space)."""
    geometry = _geometry(grad, windows)
    scaled = g.dense(_scaled(g, g.reshape(g.dense(grad), geometry.out_shape), factors))
    found = direct.input_gradient_transposed(g, scaled, _kernel(g, grad.dtype, windows, divisor), geometry)
    return g.reshape(found, (*grad.shape[: -len(windows.size)], *windows.size))


def _geometry(x: Value, windows: Windows) -> ConvolutionGeometry:
    """Of one channel; `x` has the leading axes of what is pooled."""
    many = math.prod(x.shape[: -len(windows.size)])
    return ConvolutionGeometry(
        many, 1, 1, 1, windows.size, windows.out, windows.kernel, windows.stride, windows.padding, windows.dilation
    )


def _kernel(g: GraphBuilder, dtype: str, windows: Windows, divisor: int | None) -> Value:
    return g.dense(filled(g, (1, 1, *windows.kernel), 1.0 / (divisor or math.prod(windows.kernel)), dtype))


def _scaled(g: GraphBuilder, pooled: Value, factors: Sequence[np.ndarray]) -> Value:
    for axis, factor in enumerate(factors):
        if (factor != 1.0).any():
            column = factor.reshape(-1, *[1] * (len(factors) - 1 - axis))
            pooled = binary(g, "Mul", pooled, g.constant(column, pooled.dtype))
    return pooled


def maximum_apart(g: GraphBuilder, fitted: Value, windows: Windows) -> Value:
    """Maximum of windows side by side, (B, C, *space) to (B, C, *out)."""
    tiles, inner = _tiles(g, fitted, windows)
    return g.reshape(reduce(g, "ReduceMax", tiles, inner, True), (*fitted.shape[:2], *windows.out))


def gradient_apart(g: GraphBuilder, grad: Value, fitted: Value, windows: Windows) -> Value:
    """Gradient of `maximum_apart`: of equal elements the one that counts most from the end of the window is the first."""
    tiles, inner = _tiles(g, fitted, windows)
    scores = np.arange(math.prod(windows.kernel), 0, -1, dtype=np.float32).reshape(windows.kernel)
    places = scores.reshape(1, *(part for size in windows.kernel for part in (1, size)))
    equal = g.elementwise("Equal", [tiles, reduce(g, "ReduceMax", tiles, inner, True)], dtype="bool")
    score = binary(g, "Mul", to_copy(g, equal, "float32"), g.constant(places))
    hit = g.elementwise("Equal", [score, reduce(g, "ReduceMax", score, inner, True)], dtype="bool")
    single = g.reshape(g.dense(grad), tuple(1 if axis in inner else size for axis, size in enumerate(tiles.shape)))
    return g.reshape(binary(g, "Mul", to_copy(g, hit, grad.dtype), single), fitted.shape)


def _tiles(g: GraphBuilder, fitted: Value, windows: Windows) -> tuple[Value, list[int]]:
    """(B * C, out, kernel, out, kernel...), and which axes are of the kernel."""
    many = math.prod(fitted.shape[:2])
    pairs = zip(windows.out, windows.kernel, strict=True)
    shape = (many, *(part for pair in pairs for part in pair))
    return g.reshape(fitted, shape), list(range(2, len(shape), 2))
