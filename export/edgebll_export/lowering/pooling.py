"""Average, adaptive average and max pooling, with their gradients and without index outputs.

Average pooling is linear: y = P_h x P_w^T with one small constant matrix an axis, so its gradient is P_h^T dy P_w for any
kernel, stride, padding and any overlap. Max pooling's gradient goes to the first maximum of each window, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgebll.errors import ExportError
from edgebll_export.graph import GraphBuilder, Value
from edgebll_export.lowering.elementwise import binary
from edgebll_export.lowering.shape import crop, pad
from edgebll_export.registry import lowering

_FAMILY = "pooling"
Matrix = npt.NDArray[np.float32]
#: Below this many entries one dense matrix over both axes is faster than one matrix an axis.
_DENSE_ENTRIES = 16384


def _adaptive_matrix(size: int, cells: int) -> Matrix:
    """Row i averages the elements floor(i n / m) to ceil((i + 1) n / m)."""
    matrix = np.zeros((cells, size), np.float32)
    for i in range(cells):
        start, end = i * size // cells, -(-(i + 1) * size // cells)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def _window_matrix(size: int, kernel: int, stride: int, padding: int, cells: int, count_padding: bool) -> Matrix:
    """Row i averages the window at i * stride - padding."""
    matrix = np.zeros((cells, size), np.float32)
    for i in range(cells):
        start = i * stride - padding
        low, high = max(start, 0), min(start + kernel, size)
        counted = min(start + kernel, size + padding) - start if count_padding else high - low
        matrix[i, low:high] = 1 / counted
    return matrix


def _apply(g: GraphBuilder, x: Value, rows: Matrix, columns: Matrix) -> Value:
    """rows @ x @ columns^T for every sample and channel of x (B, C, H, W)."""
    *lead, height, width = x.shape
    out = (rows.shape[0], columns.shape[0])
    if rows.size * columns.size <= _DENSE_ENTRIES:
        both = np.kron(rows, columns).T.astype(np.float32)
        flat = g.reshape(x, (math.prod(lead), height * width))
        return g.reshape(g.op("MatMul", [flat, g.constant(both)], (math.prod(lead), math.prod(out))), (*lead, *out))
    across = g.op("MatMul", [x, g.constant(np.ascontiguousarray(columns.T))], (*lead, height, out[1]))
    return g.op("MatMul", [g.constant(rows), across], (*lead, *out))


@lowering("aten._adaptive_avg_pool2d.default", family=_FAMILY)
def adaptive_avg_pool2d(g: GraphBuilder, x: Value, cells: Sequence[int]) -> Value:
    """(B, C, H, W) to (B, C, *cells)."""
    return _apply(g, x, _adaptive_matrix(x.shape[-2], cells[0]), _adaptive_matrix(x.shape[-1], cells[1]))


@lowering("aten._adaptive_avg_pool2d_backward.default", family=_FAMILY)
def adaptive_avg_pool2d_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """The transposed matrices."""
    rows = _adaptive_matrix(x.shape[-2], grad.shape[-2])
    columns = _adaptive_matrix(x.shape[-1], grad.shape[-1])
    return _apply(g, grad, np.ascontiguousarray(rows.T), np.ascontiguousarray(columns.T))


def _pair(values: Sequence[int]) -> tuple[int, int]:
    return (values[0], values[-1])


def _window_matrices(
    x: Value,
    out: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    count_padding: bool,
) -> list[Matrix]:
    strides = _pair(stride) if stride else _pair(kernel)
    geometry = zip(x.shape[-2:], _pair(kernel), strides, _pair(padding), out, strict=True)
    return [_window_matrix(*one, count_padding) for one in geometry]


def _refuse_divisor(divisor: int | None) -> None:
    if divisor is not None:
        raise ExportError("average pooling with a divisor override has no lowering; scale the result instead")


def _output_size(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> int:
    span = size + 2 * padding - kernel
    count = (-(-span // stride) if ceil_mode else span // stride) + 1
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


@lowering("aten.avg_pool2d.default", family=_FAMILY)
def avg_pool2d(
    g: GraphBuilder,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> Value:
    """Mean of each window."""
    _refuse_divisor(divisor)
    strides = _pair(stride) if stride else _pair(kernel)
    sizes = zip(x.shape[-2:], _pair(kernel), strides, _pair(padding), strict=True)
    out = [_output_size(*one, ceil_mode) for one in sizes]
    rows, columns = _window_matrices(x, out, kernel, stride, padding, count_padding)
    return _apply(g, x, rows, columns)


@lowering("aten.avg_pool2d_backward.default", family=_FAMILY)
def avg_pool2d_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    _ceil_mode: bool,
    count_padding: bool,
    divisor: int | None,
) -> Value:
    """The transposed matrices."""
    _refuse_divisor(divisor)
    rows, columns = _window_matrices(x, grad.shape[-2:], kernel, stride, padding, count_padding)
    return _apply(g, grad, np.ascontiguousarray(rows.T), np.ascontiguousarray(columns.T))


@lowering("aten.max_pool2d_with_indices.default", family=_FAMILY)
def max_pool2d(
    g: GraphBuilder,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> tuple[Value, None]:
    """Maximum of each window; the indices are never made."""
    if ceil_mode or set(dilation) != {1}:
        raise ExportError("max pooling with ceil_mode or dilation has no lowering; pad the input instead")
    size, strides, pads = _pair(kernel), _pair(stride or kernel), _pair(padding)
    out = [_output_size(*one, False) for one in zip(x.shape[-2:], size, strides, pads, strict=True)]
    shape = (*x.shape[:-2], *out)
    return g.op("MaxPool", [x], shape, kernel_shape=list(size), strides=list(strides), pads=[*pads, *pads]), None


@lowering("aten.max_pool2d_with_indices_backward.default", family=_FAMILY)
def max_pool2d_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    _indices: None,
) -> Value:
    """For each tap of the window: grad where the tap is the first maximum, put back to where it came from, and summed."""
    y, _ = max_pool2d(g, x, kernel, stride, padding, dilation, ceil_mode)
    size, strides, pads = _pair(kernel), _pair(stride or kernel), _pair(padding)
    padded = pad(g, x, [0, 0, *pads], [0, 0, *pads], float(np.finfo(np.float32).min))
    taken: Value | None = None
    total: Value | None = None
    for tap in np.ndindex(*size):
        window = _taps(g, padded, tap, strides, y.shape[-2:])
        hit = g.elementwise("Cast", [g.elementwise("Equal", [window, y], dtype="bool")], dtype="float32", to=1)
        if taken is not None:
            hit = binary(g, "Mul", hit, binary(g, "Sub", 1.0, taken))
        taken = hit if taken is None else binary(g, "Add", taken, hit)
        spread = _spread(g, binary(g, "Mul", hit, grad), tap, strides, padded.shape[-2:])
        total = spread if total is None else binary(g, "Add", total, spread)
    if total is None:
        raise ExportError("max pooling with an empty window")
    ends = [p + n for p, n in zip(pads, x.shape[-2:], strict=True)]
    return crop(g, total, [2, 3], list(pads), ends, [1, 1])


def _taps(g: GraphBuilder, padded: Value, tap: Sequence[int], strides: Sequence[int], out: Sequence[int]) -> Value:
    """The element at offset `tap` of every window, (B, C, *out)."""
    ends = [t + (n - 1) * s + 1 for t, n, s in zip(tap, out, strides, strict=True)]
    return crop(g, padded, [2, 3], list(tap), ends, list(strides))


def _spread(g: GraphBuilder, x: Value, tap: Sequence[int], strides: Sequence[int], size: Sequence[int]) -> Value:
    """The adjoint of `_taps`: zeros everywhere but at the taps."""
    batch, channels, height, width = x.shape
    if tuple(strides) != (1, 1):
        x = g.reshape(x, (batch, channels, height, 1, width, 1))
        x = pad(g, x, [0] * 6, [0, 0, 0, strides[0] - 1, 0, strides[1] - 1])
        x = g.reshape(x, (batch, channels, height * strides[0], width * strides[1]))
    after = [n - t - m for n, t, m in zip(size, tap, x.shape[-2:], strict=True)]
    return pad(g, x, [0, 0, *tap], [0, 0, *after])
