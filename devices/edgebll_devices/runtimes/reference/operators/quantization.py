"""Floats to int8 and back, with one scale for a whole tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, operator


@operator("QuantizeLinear")
def quantize_linear(x: Value, scale: Value, zero_point: Value, /, *, axis: int = 1) -> Value:
    """X / scale + zero point, rounded to the nearest whole number, halves to the even one, and cut to what its dtype holds."""
    _check_one(scale)
    limits = np.iinfo(zero_point.dtype)
    number: Any = np.nan_to_num(np.rint(x / scale), nan=0.0) + zero_point.astype(x.dtype)
    found: Value = np.clip(number, limits.min, limits.max).astype(zero_point.dtype)
    return found


@operator("DequantizeLinear")
def dequantize_linear(x: Value, scale: Value, zero_point: Value, /, *, axis: int = 1) -> Value:
    """(x - zero point) * scale."""
    _check_one(scale)
    found: Value = (x.astype(scale.dtype) - zero_point.astype(scale.dtype)) * scale
    return found


def _check_one(scale: Value) -> None:
    if scale.ndim:
        raise BundleError(f"the scale must be one number, not of shape {list(scale.shape)}")
