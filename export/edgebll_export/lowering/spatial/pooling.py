"""Average and adaptive average pooling over one to three axes, and their gradients.

Average pooling is linear and works axis by axis, y = P_h x P_w^T with one small constant matrix an axis, so its gradient is
P_h^T dy P_w for any kernel, stride, padding, rounding and overlap. The forward pass is ONNX's AveragePool where that counts
as PyTorch does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.axis_matrices import apply_matrix
from edgebll_export.lowering.convolution.windows import Windows, planes
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering.spatial import compact_pooling
from edgebll_export.lowering_registry import lowering

_FAMILY = "pooling"
Matrix = npt.NDArray[np.floating[Any]]
#: Below this many entries one dense matrix over all axes is faster than one matrix an axis.
_DENSE_ENTRIES = 16384


def _adaptive_matrix(size: int, cells: int) -> Matrix:
    """Row i averages the elements floor(i n / m) to ceil((i + 1) n / m)."""
    matrix = np.zeros((cells, size))
    for i in range(cells):
        start, end = i * size // cells, -(-(i + 1) * size // cells)
        matrix[i, start:end] = 1 / (end - start)
    return matrix


def _apply(g: GraphBuilder, x: Value, matrices: Sequence[Matrix], adjoint: bool = False) -> Value:
    """Each matrix, or its transpose, times x along its axis; the last axes of x have matrices."""
    x = g.dense(x)
    if g.target.compact:
        for place, matrix in enumerate(reversed(matrices), start=1):
            x = apply_matrix(g, x, -place, _shared(g, matrix, x.dtype, adjoint))
        return x
    turned = [matrix.T for matrix in matrices] if adjoint else matrices
    lead, out = x.shape[: len(x.shape) - len(turned)], tuple(len(matrix) for matrix in turned)
    if math.prod(matrix.size for matrix in turned) <= _DENSE_ENTRIES:
        both = turned[0]
        for matrix in turned[1:]:
            both = np.kron(both, matrix)
        flat = g.reshape(x, (math.prod(lead), both.shape[1]))
        pooled = g.op("MatMul", [flat, g.constant(both.T, x.dtype)], (math.prod(lead), len(both)))
        return g.reshape(pooled, (*lead, *out))
    for place, matrix in enumerate(reversed(turned), start=1):
        x = apply_matrix(g, x, -place, matrix)
    return x


def _shared(g: GraphBuilder, matrix: Matrix, dtype: str, adjoint: bool) -> Value:
    """A constant that a Transpose turns where need be, so that both directions and both sides of a product share it."""
    value = replace(g.constant(matrix, dtype), constant=None)
    return g.transpose(value, (1, 0)) if adjoint else value


@lowering("aten._adaptive_avg_pool2d.default", "aten._adaptive_avg_pool3d.default", family=_FAMILY)
def adaptive_avg_pool(g: GraphBuilder, x: Value, cells: Sequence[int]) -> Value:
    """(..., *space) to (..., *cells)."""
    space = x.shape[-len(cells) :]
    if math.prod(cells) == 1 and g.target.compact:
        return reduce(g, "ReduceMean", x, list(range(-len(cells), 0)), True)
    windows = compact_pooling.adaptive_windows(space, cells) if _is_compact(g, len(cells)) else None
    if windows is not None:
        return compact_pooling.average(g, g.dense(x), windows, None, ())
    return _apply(g, x, [_adaptive_matrix(n, m) for n, m in zip(space, cells, strict=True)])


def _is_compact(g: GraphBuilder, axes: int) -> bool:
    """Whether averages are convolutions of one channel, which compact targets have over two axes."""
    return g.target.compact and axes < 3


def _adaptive_backward(g: GraphBuilder, grad: Value, x: Value, axes: int) -> Value:
    space, cells = x.shape[-axes:], grad.shape[-axes:]
    if math.prod(cells) == 1 and g.target.compact:
        return replace(binary(g, "Mul", grad, 1.0 / math.prod(space)), shape=x.shape)
    windows = compact_pooling.adaptive_windows(space, cells) if _is_compact(g, axes) else None
    if windows is not None:
        return compact_pooling.average_gradient(g, grad, windows, None, ())
    sizes = zip(space, cells, strict=True)
    return _apply(g, grad, [_adaptive_matrix(n, m) for n, m in sizes], adjoint=True)


@lowering("aten._adaptive_avg_pool2d_backward.default", family=_FAMILY)
def adaptive_avg_pool2d_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """The transposed matrices."""
    return _adaptive_backward(g, grad, x, 2)


@lowering("aten._adaptive_avg_pool3d_backward.default", family=_FAMILY)
def adaptive_avg_pool3d_backward(g: GraphBuilder, grad: Value, x: Value) -> Value:
    """The transposed matrices."""
    return _adaptive_backward(g, grad, x, 3)


@dataclass(frozen=True)
class _Average:
    """An average over windows.

    Attributes:
        count_padding: whether padded zeros count in the mean.
        divisor: what sums are divided by instead of the count.
    """

    windows: Windows
    count_padding: bool
    divisor: int | None

    def matrices(self) -> list[Matrix]:
        """One an axis, (out, size)."""
        axes = [self._matrix(axis) for axis in range(len(self.windows.size))]
        if self.divisor is not None:
            axes[-1] = axes[-1] / self.divisor
        return axes

    def _matrix(self, axis: int) -> Matrix:
        w = self.windows
        size, padding = w.size[axis], w.padding[axis]
        matrix = np.zeros((w.out[axis], size))
        for i in range(w.out[axis]):
            start = i * w.stride[axis] - padding
            low, high = max(start, 0), min(start + w.kernel[axis], size)
            counted = min(start + w.kernel[axis], size + padding) - start if self.count_padding else high - low
            matrix[i, low:high] = 1 if self.divisor is not None else 1 / counted
        return matrix

    def factors(self) -> list[Matrix]:
        """For each axis, the kernel's size over the elements that count, at every place along it."""
        if self.divisor is not None:
            return []
        return [size / np.rint(1 / matrix.max(1)) for size, matrix in zip(self.windows.kernel, self.matrices(), strict=True)]

    def suits_compact(self, g: GraphBuilder) -> bool:
        """Whether it is a convolution on this target: no window reaches beyond the padding."""
        return _is_compact(g, len(self.windows.size)) and max(self.windows.overhang) <= 0

    @property
    def is_plain(self) -> bool:
        """Whether AveragePool computes the same: it has no divisor, and counts differently where a window reaches out."""
        return self.divisor is None and max(self.windows.overhang) <= 0


def _average(
    x: Value,
    axes: int,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_padding: bool = True,
    divisor: int | None = None,
) -> _Average:
    windows = Windows.of(x.shape[-axes:], kernel, stride, padding, ceil_mode=ceil_mode)
    return _Average(windows, count_padding, divisor)


def _register(axes: int) -> None:
    @lowering(f"aten.avg_pool{axes}d.default", family=_FAMILY)
    def forward(g: GraphBuilder, x: Value, *options: Any) -> Value:
        average = _average(x, axes, *options)
        if average.suits_compact(g):
            return compact_pooling.average(g, g.dense(x), average.windows, average.divisor, average.factors())
        if not average.is_plain or g.target.compact:
            return _apply(g, x, average.matrices())
        source, out = planes(g, g.dense(x), axes), average.windows.out
        shape = (*source.shape[:2], *out)
        counted = int(average.count_padding)
        pooled = g.op("AveragePool", [source], shape, count_include_pad=counted, **average.windows.attributes())
        return g.reshape(pooled, (*x.shape[:-axes], *out))

    @lowering(f"aten.avg_pool{axes}d_backward.default", family=_FAMILY)
    def backward(g: GraphBuilder, grad: Value, x: Value, *options: Any) -> Value:
        average = _average(x, axes, *options)
        if average.suits_compact(g):
            return compact_pooling.average_gradient(g, grad, average.windows, average.divisor, average.factors())
        return _apply(g, grad, average.matrices(), adjoint=True)

    forward.__doc__ = f"Mean of each window over {axes} axes."
    backward.__doc__ = f"Gradient of the mean over {axes} axes: the transposed matrices."


_register(2)
_register(3)
