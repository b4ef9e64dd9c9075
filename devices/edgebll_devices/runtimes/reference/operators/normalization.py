"""Batch normalisation of x (B, C, *space); scale, shift, mean and variance (C,)."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from edgebll_devices.runtimes.reference.operators.registry import Value, operator


@operator("BatchNormalization", max_outputs=3)
def batch_normalization(
    x: Value,
    scale: Value,
    shift: Value,
    mean: Value,
    var: Value,
    /,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
) -> Value | tuple[Value, Value, Value]:
    """y = scale (x - mean) / sqrt(var + epsilon) + shift.

    In training mode with the batch's own mean and (biased) variance; then also the running ones, of which `momentum` is kept.
    """
    kind = x.dtype.type
    if not training_mode:
        return _normalize(x, scale, shift, mean, var, kind(epsilon))
    over = (0, *range(2, x.ndim))
    now_mean, now_var = x.mean(axis=over), x.var(axis=over)
    y = _normalize(x, scale, shift, now_mean, now_var, kind(epsilon))
    keep, take = kind(momentum), kind(1.0 - momentum)
    return y, mean * keep + now_mean * take, var * keep + now_var * take


def _normalize(x: Value, scale: Value, shift: Value, mean: Value, var: Value, epsilon: float) -> Value:
    wide = (-1, *(1,) * (x.ndim - 2))
    factor = scale / np.sqrt(var + epsilon)
    result: Value = (x - mean.reshape(wide)) * factor.reshape(wide) + shift.reshape(wide)
    return result
