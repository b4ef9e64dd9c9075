"""Convolution and its transpose over any number of spatial axes. Shapes: x (B, C, *space), weight (O, C / groups, *kernel)."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, check_size, operator, same_dtype
from edgebll_devices.runtimes.reference.operators.windows import WindowGeometry, geometry, windows


def _check(x: Value, weight: Value, groups: int, kernel_shape: Sequence[int], channels: int) -> None:
    same_dtype(x, weight)
    if x.ndim != weight.ndim or (kernel_shape and tuple(kernel_shape) != weight.shape[2:]):
        raise BundleError(f"a kernel of shape {list(weight.shape)} does not fit {list(x.shape)}")
    if groups < 1 or x.shape[1] != channels or x.shape[1] % groups or weight.shape[0] % groups:
        raise BundleError(f"{x.shape[1]} channels in {groups} groups do not fit a kernel of shape {list(weight.shape)}")


def _with_bias(y: Value, bias: Value | None) -> Value:
    return y if bias is None else y + bias.reshape(-1, *(1,) * (y.ndim - 2))


@operator("Conv")
def conv(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    /,
    *,
    kernel_shape: Sequence[int] = (),
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilations: Sequence[int] = (),
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Value:
    """Convolution (without flipping): one matrix product a group over all windows."""
    _check(x, weight, group, kernel_shape, weight.shape[1] * group)
    view = windows(x, geometry(x, weight.shape[2:], strides, dilations, pads, auto_pad), 0.0)
    num_axes = x.ndim - 2
    over = [1, *range(2 + num_axes, 2 + 2 * num_axes)]
    parts = [
        np.tensordot(part, kernel, (over, range(1, weight.ndim)))
        for part, kernel in zip(np.split(view, group, axis=1), np.split(weight, group, axis=0), strict=True)
    ]
    return _with_bias(np.moveaxis(np.concatenate(parts, axis=-1), -1, 1), bias)


@operator("ConvTranspose")
def conv_transpose(
    x: Value,
    weight: Value,
    bias: Value | None = None,
    /,
    *,
    kernel_shape: Sequence[int] = (),
    strides: Sequence[int] = (),
    pads: Sequence[int] = (),
    dilations: Sequence[int] = (),
    output_padding: Sequence[int] = (),
    group: int = 1,
    auto_pad: str = "NOTSET",
) -> Value:
    """Transpose of a convolution; weight (C, O / groups, *kernel). Every tap adds its product to a strided slice of y."""
    _check(x, weight, group, kernel_shape, weight.shape[0])
    g = geometry(x, weight.shape[2:], strides, dilations, pads, auto_pad)
    extra = tuple(output_padding) or (0,) * len(g.kernel)
    spans = zip(x.shape[2:], g.strides, g.reach, extra, strict=True)
    whole = check_size([x.shape[0], weight.shape[1] * group, *(s * (n - 1) + r + e for n, s, r, e in spans)], x.dtype)
    y = np.zeros(whole, x.dtype)
    taps = np.moveaxis(weight, (0, 1), (-2, -1))
    for tap in product(*map(range, g.kernel)):
        y[_positions(x, g, tap)] += _one_tap(x, taps[tap], group)
    ends = [size - back for size, back in zip(whole[2:], g.back, strict=True)]
    inner = tuple(slice(front, end) for front, end in zip(g.front, ends, strict=True))
    return _with_bias(y[(slice(None), slice(None), *inner)], bias)


def _positions(x: Value, g: WindowGeometry, tap: Sequence[int]) -> tuple[slice, ...]:
    starts = [t * d for t, d in zip(tap, g.dilations, strict=True)]
    along = zip(starts, x.shape[2:], g.strides, strict=True)
    return slice(None), slice(None), *(slice(start, start + (n - 1) * s + 1, s) for start, n, s in along)


def _one_tap(x: Value, weight: Value, groups: int) -> Value:
    """Product of x (B, C, *space) with one tap's weight (C, O / groups)."""
    pairs = zip(np.split(x, groups, axis=1), np.split(weight, groups, axis=0), strict=True)
    parts = [np.moveaxis(np.tensordot(part, kernel, ([1], [0])), -1, 1) for part, kernel in pairs]
    return np.concatenate(parts, axis=1)
