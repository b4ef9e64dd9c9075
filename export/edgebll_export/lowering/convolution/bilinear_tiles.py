"""Bilinear algorithms for one axis of a convolution, laid out over all its tiles.

An algorithm computes m outputs from a window of the input and k kernel taps with n < m * k products:

    y = A^T ((G w) * (B^T x))

F(4, 3), Toom-Cook's polynomial products at the points 0, +-1/sqrt(2), +-sqrt(2) and infinity, takes 6 products instead of 12
(Winograd 1980; Lavin and Gray 2016, arXiv 1509.09308). These points lose the least: the largest error of a 3x3 convolution in
float32 is 1-2e-6 of the tensor's maximum, against 4e-6 with 0, +-1, +-2 and 3e-7 by direct summation.

Over a whole axis, tiling, padding and cropping are part of the matrices, so that each transform of an axis is one product with
a constant (n * tiles, size) matrix.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class TiledAxis:
    """One axis under an algorithm.

    Attributes:
        products: n, products of a tile.
        tiles: tiles along the axis. spread_input (n * tiles, size): B^T of every tile. spread_output (n * tiles, out): A of
            every tile; rows count products first, then tiles. kernel (n, k): G.
    """

    products: int
    tiles: int
    spread_input: Matrix
    spread_output: Matrix
    kernel: Matrix


def toom_cook(outputs: int, taps: int, points: list[float]) -> tuple[Matrix, Matrix, Matrix]:
    """A (n, outputs), G (n, taps) and B^T (n, n) with n = outputs + taps - 1, for n - 1 finite points and infinity."""
    products = outputs + taps - 1
    if len(points) != products - 1:
        raise ValueError(f"F({outputs}, {taps}) needs {products - 1} finite points, not {len(points)}")
    full = _vandermonde(points, products)
    inverse: Matrix = np.linalg.inv(full).T.astype(np.float64)
    return _vandermonde(points, outputs), _vandermonde(points, taps), inverse


def _vandermonde(points: list[float], columns: int) -> Matrix:
    rows = [[point**power for power in range(columns)] for point in points]
    return np.array([*rows, [0.0] * (columns - 1) + [1.0]], np.float64)


#: outputs of a tile, finite points
_POINTS = {4: [0.0, math.sqrt(0.5), -math.sqrt(0.5), math.sqrt(2.0), -math.sqrt(2.0)]}


def tiled_axis(size: int, out: int, padding: int, outputs: int = 4) -> TiledAxis:
    """An axis of a convolution with 3 taps and stride 1: `size` inputs, `out` outputs, zeros `padding` wide before."""
    output_rows, kernel, window_rows = toom_cook(outputs, 3, _POINTS[outputs])
    products = len(kernel)
    tiles = -(-out // outputs)
    spread_input, spread_output = np.zeros((products, tiles, size)), np.zeros((products, tiles, out))
    for tile in range(tiles):
        for offset in range(products):
            position = tile * outputs - padding + offset
            if 0 <= position < size:
                spread_input[:, tile, position] = window_rows[:, offset]
        for offset in range(min(outputs, out - tile * outputs)):
            spread_output[:, tile, tile * outputs + offset] = output_rows[:, offset]
    rows = products * tiles
    return TiledAxis(products, tiles, spread_input.reshape(rows, size), spread_output.reshape(rows, out), kernel)
