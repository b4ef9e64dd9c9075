"""Discrete Fourier transforms, an axis at a time: products with matrices of cosines and sines, computed in float64."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import ExportError
from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.graph.complex_value import Complex
from edgebll_export.lowering.axis_matrices import apply_matrix
from edgebll_export.lowering.pointwise.elementwise import binary, mul
from edgebll_export.lowering_registry import complex_lowering

_LONGEST = 4096
Matrix = npt.NDArray[np.float64]


def _waves(size: int, bins: int) -> tuple[Matrix, Matrix]:
    """Cosines and sines (bins, size) of 2 pi k n / size."""
    if size > _LONGEST:
        raise ExportError(f"a Fourier transform of {size} points is too long for a graph, which takes {_LONGEST} at most")
    angles = 2 * np.pi / size * (np.arange(bins)[:, None] * np.arange(size) % size)
    return np.cos(angles), np.sin(angles)


def _scale(normalization: int, sizes: Sequence[int]) -> float:
    """PyTorch's numbers: 0 for none, 1 for 1 / sqrt(n), 2 for 1 / n."""
    count = math.prod(sizes)
    return (1.0, 1 / math.sqrt(count), 1 / count)[normalization]


def _scaled(g: GraphBuilder, z: Complex, factor: float) -> Complex:
    return Complex(mul(g, z.real, factor), mul(g, z.imag, factor))


def _turned(g: GraphBuilder, z: Complex, axis: int, forward: bool) -> Complex:
    """The transform along an axis, or with the other sign in the exponent."""
    size = z.shape[axis]
    cos, sin = _waves(size, size)
    sin = sin if forward else -sin
    (a, b), (c, d) = ([apply_matrix(g, part, axis, matrix) for matrix in (cos, sin)] for part in (z.real, z.imag))
    return Complex(binary(g, "Add", a, d), binary(g, "Sub", c, b))


@complex_lowering("aten._fft_r2c.default")
def real_to_complex(g: GraphBuilder, x: Value, axes: Sequence[int], normalization: int, onesided: bool) -> Complex:
    """Transform of a real tensor; along the last of the axes only the first half of the bins where it is onesided."""
    factor = _scale(normalization, [x.shape[axis] for axis in axes])
    size = x.shape[axes[-1]]
    cos, sin = _waves(size, size // 2 + 1 if onesided else size)
    x = g.dense(x)
    z = Complex(*(apply_matrix(g, x, axes[-1], factor * matrix) for matrix in (cos, -sin)))
    for axis in axes[:-1]:
        z = _turned(g, z, axis, True)
    return z


@complex_lowering("aten._fft_c2c.default")
def complex_to_complex(g: GraphBuilder, z: Complex, axes: Sequence[int], normalization: int, forward: bool) -> Complex:
    """Transform of a complex tensor, or its inverse."""
    factor = _scale(normalization, [z.shape[axis] for axis in axes])
    z = Complex(g.dense(z.real), g.dense(z.imag))
    for axis in axes:
        z = _turned(g, z, axis, forward)
    return _scaled(g, z, factor)


@complex_lowering("aten._fft_c2r.default")
def complex_to_real(g: GraphBuilder, z: Complex, axes: Sequence[int], normalization: int, size: int) -> Value:
    """Inverse transform to a real tensor of this size along the last of the axes, from the first half of the bins."""
    *others, last = axes
    factor = _scale(normalization, [*(z.shape[axis] for axis in others), size])
    z = Complex(g.dense(z.real), g.dense(z.imag))
    for axis in others:
        z = _turned(g, z, axis, False)
    bins = z.shape[last]
    cos, sin = _waves(size, bins)
    twice = np.full((bins, 1), 2 * factor)
    twice[0] = factor
    if size % 2 == 0:
        twice[-1] = factor
    real, imag = (apply_matrix(g, part, last, (twice * waves).T) for part, waves in ((z.real, cos), (z.imag, sin)))
    return binary(g, "Sub", real, imag)
