"""3x3 convolutions of stride 1 by Winograd's algorithm, in plain matrix products.

With the matrices A, G, B of `convolution_tiles` on both axes, V = B^T x B, U = G w G^T and Z = A dy A^T:

    y  = A^T (U V) A            for each of the 6 x 6 products of a tile one matrix product over the channels
    dx = B (U^T Z) B^T          the adjoint of the same algorithm
    dw = G^T (Z^T V) G

4 x 4 outputs take 36 products where the direct form takes 144. V is computed once for y and dw, Z once for dx and dw, U once
for y and dx: the builder shares equal nodes. Data lie as (H, W, B, C) in between, where each transform of an axis is one
product with a constant matrix from the left, and the channel products read the result as it lies: nothing is gathered.
"""

from __future__ import annotations

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.convolution.bilinear_tiles import Matrix, TiledAxis, tiled_axis
from edgebll_export.lowering.convolution.geometry import ConvolutionGeometry


def forward(g: GraphBuilder, x: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """X (B, C, H, W) with weight (O, C, 3, 3) to (B, O, H', W')."""
    kernels = g.transpose(_kernels(g, weight, geometry), (0, 1, 2, 4, 3))
    spread = _spread_input(g, x, geometry)
    product = g.op("MatMul", [spread, kernels], (*spread.shape[:-1], geometry.out_channels))
    rows, columns = _axes(geometry)
    return _collect(g, product, rows.spread_output, columns.spread_output, geometry.out_shape)


def input_gradient(g: GraphBuilder, grad: Value, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the input (B, C, H, W)."""
    spread = _spread_grad(g, grad, geometry)
    product = g.op("MatMul", [spread, _kernels(g, weight, geometry)], (*spread.shape[:-1], geometry.in_channels))
    rows, columns = _axes(geometry)
    return _collect(g, product, rows.spread_input, columns.spread_input, geometry.in_shape)


def weight_gradient(g: GraphBuilder, grad: Value, x: Value, geometry: ConvolutionGeometry) -> Value:
    """Gradient of the weight (O, C, 3, 3)."""
    rows, columns = _axes(geometry)
    spread_grad = g.transpose(_spread_grad(g, grad, geometry), (0, 1, 2, 4, 3))
    size = (geometry.out_channels, geometry.in_channels)
    products = g.op(
        "MatMul", [spread_grad, _spread_input(g, x, geometry)], (rows.products, rows.tiles, columns.products, *size)
    )
    if rows.tiles > 1:
        shape = (rows.products, columns.products, *size)
        products = g.op("ReduceSum", [products, g.constant(np.array([1], np.int64))], shape, keepdims=0)
    products = g.reshape(products, (rows.products * columns.products, size[0] * size[1]))
    both = g.constant(np.kron(rows.kernel, columns.kernel).astype(np.float32))
    taps = rows.kernel.shape[1] * columns.kernel.shape[1]
    return g.reshape(g.op("Gemm", [products, both], (size[0] * size[1], taps), transA=1), geometry.weight_shape)


def _axes(geometry: ConvolutionGeometry) -> tuple[TiledAxis, TiledAxis]:
    rows, columns = (
        tiled_axis(size, out, padding) for size, out, padding in zip(geometry.size, geometry.out, geometry.padding, strict=True)
    )
    return rows, columns


def _kernels(g: GraphBuilder, weight: Value, geometry: ConvolutionGeometry) -> Value:
    """U (6, 1, 6, O, C); the second axis repeats along the tiles."""
    rows, columns = _axes(geometry)
    out_channels, in_channels, *kernel = geometry.weight_shape
    flat = g.reshape(weight, (out_channels * in_channels, kernel[0] * kernel[1]))
    both = g.constant(np.kron(rows.kernel, columns.kernel).astype(np.float32))
    products = rows.products * columns.products
    spread = g.op("Gemm", [both, flat], (products, out_channels * in_channels), transB=1)
    return g.reshape(spread, (rows.products, 1, columns.products, out_channels, in_channels))


def _spread_input(g: GraphBuilder, x: Value, geometry: ConvolutionGeometry) -> Value:
    rows, columns = _axes(geometry)
    return _spread(g, x, rows, columns, rows.spread_input, columns.spread_input)


def _spread_grad(g: GraphBuilder, grad: Value, geometry: ConvolutionGeometry) -> Value:
    rows, columns = _axes(geometry)
    return _spread(g, grad, rows, columns, rows.spread_output, columns.spread_output)


def _spread(g: GraphBuilder, x: Value, rows: TiledAxis, columns: TiledAxis, by_rows: Matrix, by_columns: Matrix) -> Value:
    """(B, C, H, W) to (6, tiles, 6, tiles * B, C)."""
    batch, channels, height, width = x.shape
    inner = batch * channels
    plane = g.reshape(_space_first(g, x), (height, width * inner))
    tall = g.op("MatMul", [_matrix(g, by_rows), plane], (len(by_rows), width * inner))
    tall = g.reshape(tall, (len(by_rows), width, inner))
    both = g.op("MatMul", [_matrix(g, by_columns), tall], (len(by_rows), len(by_columns), inner))
    return g.reshape(both, (rows.products, rows.tiles, columns.products, columns.tiles * batch, channels))


def _collect(g: GraphBuilder, product: Value, by_rows: Matrix, by_columns: Matrix, shape: tuple[int, ...]) -> Value:
    """(6, tiles, 6, tiles * B, C) to `shape`, (B, C, H, W): the adjoint of `_spread`."""
    batch, channels, height, width = shape
    inner = batch * channels
    tall = g.reshape(product, (len(by_rows), len(by_columns), inner))
    tall = g.op("MatMul", [_matrix(g, by_columns.T), tall], (len(by_rows), width, inner))
    tall = g.reshape(tall, (len(by_rows), width * inner))
    plane = g.op("MatMul", [_matrix(g, by_rows.T), tall], (height, width * inner))
    return _space_last(g, plane, shape)


def _matrix(g: GraphBuilder, matrix: Matrix) -> Value:
    return g.constant(matrix.astype(np.float32))


def _space_first(g: GraphBuilder, x: Value) -> Value:
    """(B, C, H, W) to (H * W, B * C)."""
    batch, channels, height, width = x.shape
    return g.transpose(g.reshape(x, (batch * channels, height * width)), (1, 0))


def _space_last(g: GraphBuilder, plane: Value, shape: tuple[int, ...]) -> Value:
    """(H, W * B * C) to `shape`, (B, C, H, W): the inverse of `_space_first`."""
    batch, channels, height, width = shape
    return g.reshape(g.transpose(g.reshape(plane, (height * width, batch * channels)), (1, 0)), shape)
