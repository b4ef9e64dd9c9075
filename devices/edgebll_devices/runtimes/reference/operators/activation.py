"""Activation functions, element by element."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from edgebll_devices.runtimes.reference.operators.registry import Value, operator


@operator("Relu")
def relu(x: Value, /) -> Value:
    """max(x, 0)."""
    return np.maximum(x, x.dtype.type(0))


@operator("LeakyRelu")
def leaky_relu(x: Value, /, *, alpha: float = 0.01) -> Value:
    """X where x >= 0, alpha x elsewhere."""
    return np.where(x < 0, x.dtype.type(alpha) * x, x)


@operator("Elu")
def elu(x: Value, /, *, alpha: float = 1.0) -> Value:
    """X where x >= 0, alpha (exp(x) - 1) elsewhere."""
    return np.where(x < 0, x.dtype.type(alpha) * np.expm1(x), x)


@operator("Sigmoid")
def sigmoid(x: Value, /) -> Value:
    """1 / (1 + exp(-x)), without overflow."""
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.where(x < 0, small / (one + small), one / (one + small))


@operator("HardSigmoid")
def hard_sigmoid(x: Value, /, *, alpha: float = 0.2, beta: float = 0.5) -> Value:
    """max(0, min(1, alpha x + beta))."""
    kind = x.dtype.type
    return np.maximum(kind(0), np.minimum(kind(1), kind(alpha) * x + kind(beta)))


@operator("Softplus")
def softplus(x: Value, /) -> Value:
    """log(1 + exp(x)), without overflow."""
    return np.maximum(x, x.dtype.type(0)) + np.log1p(np.exp(-np.abs(x)))


@operator("Softmax")
def softmax(x: Value, /, *, axis: int = -1) -> Value:
    """exp(x) over its sum along the axis."""
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return shifted / shifted.sum(axis=axis, keepdims=True)


@operator("LogSoftmax")
def log_softmax(x: Value, /, *, axis: int = -1) -> Value:
    """Logarithm of the softmax along the axis."""
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
