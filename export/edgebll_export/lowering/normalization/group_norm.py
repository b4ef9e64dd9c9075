"""Group normalisation and its gradient; statistics in float32 also where x is in half precision.

Instance normalisation needs no lowering of its own: PyTorch traces it as batch normalisation of one sample, with a channel
for each channel of each sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgebll_export.graph.builder import GraphBuilder, Value
from edgebll_export.lowering.normalization.batch_norm import affine
from edgebll_export.lowering.normalization.standardize import input_gradient, standardized, standardized_again
from edgebll_export.lowering.pointwise.elementwise import binary
from edgebll_export.lowering.pointwise.promotion import to_copy
from edgebll_export.lowering.reduction import reduce
from edgebll_export.lowering_registry import lowering

_FAMILY = "normalization"
_STATISTICS = "float32"


@dataclass(frozen=True)
class _Groups:
    """Shapes of x (B, C, ...) as rows: of a group of channels of a sample, or of one channel."""

    batch: int
    channels: int
    places: int
    groups: int

    @property
    def by_group(self) -> tuple[int, int]:
        """A row for each group of each sample."""
        return self.batch * self.groups, self.channels // self.groups * self.places

    @property
    def by_channel(self) -> tuple[int, int, int]:
        """(B, C, places)."""
        return self.batch, self.channels, self.places

    def rows(self, g: GraphBuilder, x: Value) -> Value:
        """X by group, in float32."""
        return g.reshape(to_copy(g, g.dense(x), _STATISTICS), self.by_group)


@lowering("aten.native_group_norm.default", family=_FAMILY)
def group_norm(
    g: GraphBuilder,
    x: Value,
    weight: Value | None,
    bias: Value | None,
    batch: int,
    channels: int,
    places: int,
    groups: int,
    eps: float,
) -> tuple[Value, Value | None, Value | None]:
    """Y = (x - mean) / sqrt(var + eps) * weight + bias with the statistics of each group of channels; mean and 1 / std."""
    sizes = _Groups(batch, channels, places, groups)
    if g.target.inference:
        return _by_instances(g, x, weight, bias, sizes, eps), None, None
    y, mean, inverse_std = standardized(g, sizes.rows(g, x), eps, (batch, groups))
    wide = g.reshape(y, sizes.by_channel)
    if weight is not None or bias is not None:
        wide = affine(g, wide, _vector(g, weight, channels, 1.0), _vector(g, bias, channels, 0.0))
    return to_copy(g, g.reshape(wide, x.shape), x.dtype), mean, inverse_std


def _vector(g: GraphBuilder, vector: Value | None, channels: int, default: float) -> Value:
    return g.constant(np.full(channels, default, np.float32)) if vector is None else to_copy(g, vector, _STATISTICS)


def _by_instances(g: GraphBuilder, x: Value, weight: Value | None, bias: Value | None, sizes: _Groups, eps: float) -> Value:
    """A group is an instance with one channel; scale and shift are of the channels in it."""
    rows = g.reshape(to_copy(g, g.dense(x), _STATISTICS), (sizes.batch, sizes.groups, sizes.by_group[1]))
    ones, zeros = (g.constant(np.full(sizes.groups, number, np.float32)) for number in (1.0, 0.0))
    y = g.reshape(g.op("InstanceNormalization", [rows, ones, zeros], rows.shape, epsilon=float(eps)), x.shape)
    for operator, vector in (("Mul", weight), ("Add", bias)):
        if vector is not None:
            y = binary(
                g, operator, y, g.reshape(to_copy(g, vector, _STATISTICS), (1, sizes.channels, *[1] * (len(x.shape) - 2)))
            )
    return to_copy(g, y, x.dtype)


@lowering("aten.native_group_norm_backward.default", family=_FAMILY)
def group_norm_backward(
    g: GraphBuilder,
    grad: Value,
    x: Value,
    mean: Value,
    inverse_std: Value,
    weight: Value | None,
    batch: int,
    channels: int,
    places: int,
    groups: int,
    mask: Sequence[bool],
) -> tuple[Value | None, Value | None, Value | None]:
    """Gradients of input, weight and bias, all from two sums for each channel of each sample."""
    sizes = _Groups(batch, channels, places, groups)
    rows = standardized_again(g, sizes.rows(g, x), mean, inverse_std)
    grads = sizes.rows(g, grad)
    product = g.reshape(binary(g, "Mul", grads, rows), sizes.by_channel)
    sums = reduce(g, "ReduceSum", g.reshape(grads, sizes.by_channel), [2], False)
    products = reduce(g, "ReduceSum", product, [2], False)
    dw, db = (to_copy(g, reduce(g, "ReduceSum", part, [0], False), x.dtype) if wanted else None
              for part, wanted in zip((products, sums), mask[1:], strict=True))  # fmt: skip
    if not mask[0]:
        return None, dw, db
    scales = to_copy(g, g.reshape(inverse_std, (batch, groups)), _STATISTICS)
    factor = _per_channel(g, scales, sizes, weight)
    moments = (g.reshape(scales, (batch * groups,)), _means(g, sums, sizes, weight), _means(g, products, sizes, weight))
    by_channel = g.reshape(grads, (batch * channels, places))
    dx = input_gradient(g, by_channel, factor, rows, moments)
    return to_copy(g, g.reshape(dx, x.shape), x.dtype), dw, db


def _split(g: GraphBuilder, weight: Value, sizes: _Groups) -> Value:
    """A vector of channels as (groups, channels of a group)."""
    return g.reshape(to_copy(g, weight, _STATISTICS), (sizes.groups, sizes.channels // sizes.groups))


def _per_channel(g: GraphBuilder, scales: Value, sizes: _Groups, weight: Value | None) -> Value:
    """1 / std (batch, groups) times the weight, for every channel of every sample."""
    ones = g.constant(np.ones((sizes.groups, sizes.channels // sizes.groups), np.float32))
    weights = ones if weight is None else _split(g, weight, sizes)
    wide = binary(g, "Mul", g.reshape(scales, (sizes.batch, sizes.groups, 1)), weights)
    return g.reshape(wide, (sizes.batch * sizes.channels,))


def _means(g: GraphBuilder, sums: Value, sizes: _Groups, weight: Value | None) -> Value:
    """Weighted sums of the channels of each group, divided by the group's size, (batch * groups)."""
    split = g.reshape(sums, (sizes.batch, sizes.groups, sizes.channels // sizes.groups))
    weighted = split if weight is None else binary(g, "Mul", split, _split(g, weight, sizes))
    total = reduce(g, "ReduceSum", weighted, [2], False)
    return g.reshape(binary(g, "Mul", total, 1.0 / math.prod(sizes.by_group[1:])), (sizes.batch * sizes.groups,))
