"""The arithmetic of plans in numpy, equal to the C runtime's to the bit: float32, each operation rounded by itself.

The series, their constants and their order are those of docs/reference/microcontroller-plan.md. Numpy's own exp and log are not
used, for their last bit depends on the processor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgebll.kernel.microcontroller.plan_parts import Code

Floats = np.ndarray[Any, np.dtype[np.float32]]
Numbers = np.ndarray[Any, Any]
_LARGEST_INTEGER, _SMALLEST_INTEGER = 2147483520.0, -2147483648.0


def _float(bits: int) -> np.float32:
    """The float32 with these bits."""
    value: np.float32 = np.array([bits], np.uint32).view(np.float32)[0]
    return value


_EXP_OVERFLOW, _EXP_UNDERFLOW = _float(0x42B17217), _float(0xC2AEAC4F)
_LOG2_E = _float(0x3FB8AA3B)
#: The logarithm of 2 in two parts, of which the first has few digits.
_LN2_HIGH, _LN2_LOW = _float(0x3F318000), _float(0xB95E8083)
_EXP_SERIES = [
    _float(bits) for bits in (0x39500D01, 0x3AB60B61, 0x3C088889, 0x3D2AAAAB, 0x3E2AAAAB, 0x3F000000, 0x3F800000, 0x3F800000)
]
_LOG_SERIES = [_float(bits) for bits in (0x3DE38E39, 0x3E124925, 0x3E4CCCCD, 0x3EAAAAAB)]
_HALF_ROOT, _MANTISSA_BITS = 0x3F3504F3, 23


def ordered_exp(x: Floats) -> Floats:
    """The exponential, float32 of any shape."""
    inside = np.where((x >= _EXP_UNDERFLOW) & (x <= _EXP_OVERFLOW), x, np.float32(0.0))
    t = inside * _LOG2_E
    t = t + np.where(t < 0, np.float32(-0.5), np.float32(0.5))
    n = np.trunc(t).astype(np.int32)
    whole = n.astype(np.float32)
    r = inside - whole * _LN2_HIGH
    r = r - whole * _LN2_LOW
    p = np.full_like(r, _EXP_SERIES[0])
    for term in _EXP_SERIES[1:]:
        p = p * r
        p = p + term
    half = n >> 1
    p = p * _power_of_two(half)
    p = p * _power_of_two(n - half)
    result = np.where(x > _EXP_OVERFLOW, np.float32(np.inf), np.where(x < _EXP_UNDERFLOW, np.float32(0.0), p))
    return np.where(np.isnan(x), np.float32(np.nan), result)


def ordered_log(x: Floats) -> Floats:
    """The natural logarithm, float32 of any shape."""
    usual = (x > 0) & (x < np.inf)
    inside = np.where(usual, x, np.float32(1.0))
    tiny = inside < _float(0x00800000)
    inside = np.where(tiny, inside * _float(0x4B000000), inside)
    bits = np.ascontiguousarray(inside).view(np.int32)
    k = (bits - np.int32(_HALF_ROOT)) >> _MANTISSA_BITS
    e = (k - np.where(tiny, np.int32(_MANTISSA_BITS), np.int32(0))).astype(np.float32)
    f = (bits - (k << _MANTISSA_BITS)).astype(np.int32).view(np.float32) - np.float32(1.0)
    s = f / (f + np.float32(2.0))
    z = s * s
    p = np.full_like(z, _LOG_SERIES[0])
    for term in _LOG_SERIES[1:]:
        p = p * z
        p = p + term
    p = p * z
    u = s * p
    u = s + u
    u = u + u
    result = (e * _LN2_LOW + u) + e * _LN2_HIGH
    odd = np.where(x == 0, np.float32(-np.inf), np.where(x > 0, np.float32(np.inf), np.float32(np.nan)))
    return np.where(usual, result, odd)


def _power_of_two(exponent: Numbers) -> Floats:
    return ((exponent + 127) << _MANTISSA_BITS).astype(np.int32).view(np.float32)


def loaded_floats(stored: Numbers) -> Floats:
    """Elements as they are stored, as float32; of 8-byte integers only the low half counts."""
    if stored.dtype == np.int64:
        stored = stored.astype(np.int32)
    return stored.astype(np.float32)


def stored_numbers(value: Floats, dtype: np.dtype[Any]) -> Numbers:
    """Floats as they are stored in a dtype; what does not fit is cut off, and NaN becomes 0."""
    if dtype == np.float32:
        return value
    if dtype in (np.int8, np.int16):
        rounded: Numbers = rounded_to(value, dtype).astype(dtype)
        return rounded
    if dtype == np.uint8:
        low, high = 0.0, 255.0
    else:
        low, high = _SMALLEST_INTEGER, _LARGEST_INTEGER
    number = np.where(np.isnan(value), np.float32(0.0), value)
    whole: Numbers = np.trunc(np.clip(number, np.float32(low), np.float32(high))).astype(dtype)
    return whole


_ZERO = np.float32(0.0)


def rounded_to(value: Floats, dtype: np.dtype[Any]) -> Floats:
    """Floats rounded to nearest, halves to even, and cut to what int8 or int16 holds; NaN becomes 0."""
    limits = np.iinfo(dtype)
    number = np.where(np.isnan(value), np.float32(0.0), value)
    # A zero has no sign, as if it were an integer.
    rounded: Floats = np.rint(np.clip(number, np.float32(limits.min), np.float32(limits.max))) + _ZERO
    return rounded


def _truth(value: Numbers) -> Floats:
    return value.astype(np.float32)


#: What each instruction computes, but for LOAD and STORE.
OPERATIONS: dict[Code, Callable[..., Any]] = {
    Code.MOVE: lambda a: a,
    Code.ADD: lambda a, b: a + b,
    Code.SUB: lambda a, b: a - b,
    Code.MUL: lambda a, b: a * b,
    Code.DIV: lambda a, b: a / b,
    Code.MAX: lambda a, b: np.where(a < b, b, a),
    Code.MIN: lambda a, b: np.where(b < a, b, a),
    Code.GREATER: lambda a, b: _truth(a > b),
    Code.LESS: lambda a, b: _truth(a < b),
    Code.EQUAL: lambda a, b: _truth(a == b),
    Code.NEG: lambda a: -a,
    Code.ABS: lambda a: np.abs(a),
    Code.FLOOR: lambda a: np.floor(a),
    Code.SQRT: lambda a: np.sqrt(a),
    Code.RECIP: lambda a: np.float32(1.0) / a,
    Code.EXP: ordered_exp,
    Code.LOG: ordered_log,
    Code.RELU: lambda a: np.where(a < 0, _ZERO, a),
    Code.GATE: lambda a, b: np.where(b > 0, a, _ZERO),
    Code.SELECT: lambda a, b, c: np.where(a != 0, b, c),
    Code.MULADD: lambda a, b, c: (a * b) + c,
    Code.MULSUB: lambda a, b, c: c - (a * b),
    Code.TO_INT8: lambda a: rounded_to(a, np.dtype(np.int8)),
}
