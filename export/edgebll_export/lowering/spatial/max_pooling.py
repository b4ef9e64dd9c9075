"""Max and adaptive max pooling over one to three axes without index outputs, and their gradients.

The gradient goes to the first maximum of each window, as in PyTorch. Windows side by side, the common case: every element
that equals its window's maximum gets its place in the window, counted from the end, as a score; the highest is the first.
Windows that overlap: tap by tap, an element is hit if it equals the maximum and no tap before was; the hits are summed up
where they came from by a transposed convolution with a kernel of one 1 for each tap.

Against taps that are spread and added one by one, milliseconds on ONNX Runtime 1.31, one thread (x86, AVX-512):

                                              one by one   here   PyTorch
    8 x 32 channels, 28 x 28, 2 x 2 / 2           8.2       0.6     0.07
    8 x 64 channels, 56 x 56, 3 x 3 / 2         180        43       0.7
    1 x 64 channels, 56 x 56, 3 x 3 / 2          17         2.2     0.07
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import pick, spread
from edgebll_export.lowering.convolution.convolution import input_gradient
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry
from edgebll_export.lowering.convolution.windows import Windows, pad_space, planes, window
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.shape import cat
from edgebll_export.lowering.spatial import compact_pooling
from edgebll_export.lowering_registry import lowering

_FAMILY = "pooling"


def _lowest(dtype: str) -> float:
    return float(torch.finfo(getattr(torch, dtype)).min)


def _fitted(g: GraphBuilder, x: Value, windows: Windows) -> Value:
    """X padded with the lowest number and cropped to just what the windows see."""
    return pad_space(g, x, windows.padding, windows.after, _lowest(x.dtype))


def _taps(g: GraphBuilder, x: Value, windows: Windows) -> list[Value]:
    """For each tap of the kernel, in PyTorch's order, the element it sees in every window, (..., *out)."""
    fitted = _fitted(g, x, windows)
    starts = ([t * d for t, d in zip(tap, windows.dilation, strict=True)] for tap in np.ndindex(*windows.kernel))
    return [window(g, fitted, start, windows.out, windows.stride) for start in starts]


def _maximum(g: GraphBuilder, x: Value, windows: Windows) -> Value:
    """(B, C, *space) to (B, C, *out)."""
    if g.target.compact:
        return _compact_maximum(g, x, windows)
    axes, shape = len(windows.size), (*x.shape[:2], *windows.out)
    if math.prod(windows.out) == 1 and windows.size == windows.kernel and not any(windows.padding):
        return reduce(g, "ReduceMax", x, list(range(2, 2 + axes)), True)
    dilated = set(windows.dilation) != {1}
    if dilated and g.target.is_tensorrt:  # its pooling has no dilation
        return g.op("Max", _taps(g, x, windows), shape)
    attributes = windows.attributes()
    if dilated and max(attributes["pads"]) >= min(windows.kernel):  # ONNX Runtime compares with the kernel undilated
        x, attributes = _fitted(g, x, windows), {**attributes, "pads": [0] * 2 * axes}
    if dilated:
        attributes["dilations"] = list(windows.dilation)
    return g.op("MaxPool", [x], shape, **attributes)


def _compact_maximum(g: GraphBuilder, x: Value, windows: Windows) -> Value:
    if _are_apart(windows) and len(windows.size) < 3:
        return compact_pooling.maximum_apart(g, _fitted(g, x, windows), windows)
    first, *others = _taps(g, x, windows)
    return g.elementwise("Max", [first, *others]) if others else first


def _are_apart(windows: Windows) -> bool:
    """Whether windows lie side by side."""
    return windows.kernel == windows.stride and set(windows.dilation) == {1}


def _gradient(g: GraphBuilder, grad: Value, x: Value, windows: Windows) -> Value:
    """From (B, C, *out) to (B, C, *space)."""
    found = (_gradient_apart if _are_apart(windows) else _gradient_overlapping)(g, grad, x, windows)
    return pad_space(g, found, [-count for count in windows.padding], [-count for count in windows.after])


def _gradient_apart(g: GraphBuilder, grad: Value, x: Value, windows: Windows) -> Value:
    """Windows side by side."""
    fitted = _fitted(g, x, windows)
    if g.target.compact:
        return compact_pooling.gradient_apart(g, grad, fitted, windows)
    tiles = Windows.of(fitted.shape[2:], windows.kernel)
    scores = np.arange(math.prod(windows.kernel), 0, -1, dtype=np.float32).reshape(windows.kernel)
    by_place = np.tile(scores, windows.out)[None, None]
    best = _enlarged(g, _maximum(g, fitted, tiles), tiles)
    equal = to_copy(g, g.elementwise("Equal", [fitted, best], dtype="bool"), "float32")
    score = g.elementwise("Mul", [equal, g.constant(by_place)])
    first = _enlarged(g, _maximum(g, score, tiles), tiles)
    hit = to_copy(g, g.elementwise("Equal", [score, first], dtype="bool"), x.dtype)
    return g.dense(g.elementwise("Mul", [hit, _enlarged(g, grad, tiles)]))


def _enlarged(g: GraphBuilder, y: Value, tiles: Windows) -> Value:
    """Each element of y (B, C, *out) at every place of its window; as it is where there is one window."""
    if math.prod(tiles.out) == 1 or math.prod(tiles.kernel) == 1:
        return y
    scales = g.constant(np.array([1, 1, *tiles.kernel], np.float32))
    how: dict[str, Any] = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return g.node("Resize", [g.dense(y), None, scales], [(y.dtype, (*y.shape[:2], *tiles.size))], **how)[0]


def _gradient_overlapping(g: GraphBuilder, grad: Value, x: Value, windows: Windows) -> Value:
    """Any windows."""
    best, many = _maximum(g, x, windows), x.shape[0] * x.shape[1]
    free: Value | None = None
    parts = []
    for seen in _taps(g, x, windows):
        equal = g.elementwise("Equal", [seen, best], dtype="bool")
        others = g.elementwise("Not", [equal])
        hit = equal if free is None else g.elementwise("And", [equal, free])
        free = others if free is None else g.elementwise("And", [free, others])
        part = g.elementwise("Mul", [to_copy(g, hit, grad.dtype), grad])
        parts.append(g.reshape(part, (many, 1, *windows.out)))
    count = len(parts)
    size = tuple(n + p + a for n, p, a in zip(windows.size, windows.padding, windows.after, strict=True))
    nowhere = (0,) * len(size)
    geometry = ConvolutionGeometry(
        many, 1, count, 1, size, windows.out, windows.kernel, windows.stride, nowhere, windows.dilation
    )
    places = g.constant(np.eye(count).reshape(count, 1, *windows.kernel), grad.dtype)
    return g.reshape(input_gradient(g, cat(g, parts, 1), places, geometry), (*x.shape[:2], *size))


def _register(axes: int) -> None:
    @lowering(f"aten.max_pool{axes}d_with_indices.default", family=_FAMILY)
    def forward(g: GraphBuilder, x: Value, *options: Any) -> tuple[Value, None]:
        windows = Windows.of(x.shape[-axes:], *options)
        _refuse_empty(windows)
        best = _maximum(g, planes(g, g.dense(x), axes), windows)
        return g.reshape(best, (*x.shape[:-axes], *windows.out)), None

    @lowering(f"aten.max_pool{axes}d_with_indices_backward.default", family=_FAMILY)
    def backward(g: GraphBuilder, grad: Value, x: Value, *options: Any) -> Value:
        *choices, _indices = options
        source, sums = planes(g, g.dense(x), axes), planes(g, g.dense(grad), axes)
        return g.reshape(_gradient(g, sums, source, Windows.of(x.shape[-axes:], *choices)), x.shape)

    @lowering(f"aten.adaptive_max_pool{axes}d.default", family=_FAMILY)
    def adaptive(g: GraphBuilder, x: Value, cells: Sequence[int]) -> tuple[Value, None]:
        source = planes(g, g.dense(x), axes)
        for place, index in enumerate(_cell_indices(x.shape[-axes:], cells)):
            source = source if index is None else pick(g, source, 2 + place, index)
        best = _maximum(g, source, _cells(source.shape[2:], cells))
        return g.reshape(best, (*x.shape[:-axes], *cells)), None

    @lowering(f"aten.adaptive_max_pool{axes}d_backward.default", family=_FAMILY)
    def adaptive_backward(g: GraphBuilder, grad: Value, x: Value, _indices: None) -> Value:
        source, cells = planes(g, g.dense(x), axes), grad.shape[-axes:]
        picked = list(enumerate(_cell_indices(x.shape[-axes:], cells), start=2))
        for axis, index in picked:
            source = source if index is None else pick(g, source, axis, index)
        found = _gradient(g, planes(g, g.dense(grad), axes), source, _cells(source.shape[2:], cells))
        for axis, index in picked:
            found = found if index is None else spread(g, found, axis, index, x.shape[axis - 2 - axes])
        return g.reshape(found, x.shape)

    forward.__doc__ = f"Maximum of each window over {axes} axes; the indices are never made."
    backward.__doc__ = f"Gradient of the maximum over {axes} axes."
    adaptive.__doc__ = f"Maximum of each cell over {axes} axes; the indices are never made."
    adaptive_backward.__doc__ = f"Gradient of the maximum of each cell over {axes} axes."


def _refuse_empty(windows: Windows) -> None:
    """PyTorch's maximum of nothing is minus infinity, with a gradient that goes nowhere."""
    rows = zip(windows.size, windows.out, windows.kernel, windows.stride, windows.padding, windows.dilation, strict=True)
    for n, m, k, s, p, d in rows:
        if any(all(not 0 <= i * s - p + tap * d < n for tap in range(k)) for i in range(m)):
            raise ExportError("a window of the max pooling sees nothing but padding; use less padding or dilation")


def _cells(size: Sequence[int], cells: Sequence[int]) -> Windows:
    return Windows.of(size, [n // m for n, m in zip(size, cells, strict=True)])


def _cell_indices(size: Sequence[int], cells: Sequence[int]) -> list[npt.NDArray[np.int64] | None]:
    """For each axis, elements to pick so that the cells lie side by side and are equally long; None where they are.

    Cell i reaches from floor(i n / m) to ceil((i + 1) n / m). Shorter ones repeat their last element, which so never is the
    first maximum.
    """
    return [None if n % m == 0 else _indices(n, m) for n, m in zip(size, cells, strict=True)]


def _indices(size: int, cells: int) -> npt.NDArray[np.int64]:
    starts = np.arange(cells) * size // cells
    lasts = -(-np.arange(1, cells + 1) * size // cells) - 1
    longest = int((lasts - starts).max()) + 1
    index: npt.NDArray[np.int64] = np.minimum(starts[:, None] + np.arange(longest), lasts[:, None]).reshape(-1)
    return index


_register(2)
_register(3)
