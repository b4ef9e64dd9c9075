"""Sliding windows, shared by convolution and pooling. Shapes: x (B, C, *space), kernels and outputs (*kernel), (*out)."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value


@dataclass(frozen=True)
class WindowGeometry:
    """Kernel, strides, dilations and padding (front and back) per spatial axis, all of one length."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    front: tuple[int, ...]
    back: tuple[int, ...]

    @property
    def reach(self) -> tuple[int, ...]:
        """Positions a dilated kernel spans per axis."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def geometry(
    x: Value,
    kernel: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    pads: Sequence[int],
    auto_pad: str,
) -> WindowGeometry:
    """Fill in ONNX's defaults and check that all fits x.

    Raises:
        BundleError: the lists have other lengths than x has spatial axes, or hold numbers out of range.
    """
    axes = x.ndim - 2
    if auto_pad != "NOTSET":
        raise BundleError(f"auto_pad is {auto_pad!r}; only explicit pads are known")
    strides, dilations, pads = strides or (1,) * axes, dilations or (1,) * axes, pads or (0,) * (2 * axes)
    if axes < 1 or {len(kernel), len(strides), len(dilations), len(pads) // 2} != {axes} or len(pads) % 2:
        raise BundleError(f"kernel, strides, dilations or pads do not fit a value of {axes} spatial axes")
    if min(*kernel, *strides, *dilations, 1) < 1 or min(pads) < 0:
        raise BundleError("kernel, strides and dilations must be positive, and pads not negative")
    return WindowGeometry(tuple(kernel), tuple(strides), tuple(dilations), tuple(pads[:axes]), tuple(pads[axes:]))


def windows(x: Value, g: WindowGeometry, fill: float) -> Value:
    """All windows of x (B, C, *space) as a view (B, C, *out, *kernel) of x padded with `fill`."""
    pads = [(0, 0), (0, 0), *zip(g.front, g.back, strict=True)]
    padded = np.pad(x, pads, constant_values=x.dtype.type(fill))
    if any(size < reach for size, reach in zip(padded.shape[2:], g.reach, strict=True)):
        raise BundleError(f"a kernel that spans {list(g.reach)} does not fit {list(padded.shape[2:])} positions")
    axes = tuple(range(2, x.ndim))
    view = sliding_window_view(padded, g.reach, axes)
    steps = [slice(None, None, stride) for stride in g.strides]
    taps = [slice(None, None, dilation) for dilation in g.dilations]
    result: Value = view[(slice(None), slice(None), *steps, *taps)]
    return result
