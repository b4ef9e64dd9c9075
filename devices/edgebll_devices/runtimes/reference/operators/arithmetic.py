"""Element-wise arithmetic. Inputs broadcast as in numpy; every result has the dtype of the first input."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import functools
import math

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Function, Value, operator, same_dtype


def _binary(name: str, function: Function) -> None:
    def apply(x: Value, y: Value, /) -> Value:
        same_dtype(x, y)
        return function(x, y)

    operator(name)(apply)


def _variadic(name: str, function: Function) -> None:
    def apply(first: Value, /, *others: Value) -> Value:
        same_dtype(first, *others)
        return functools.reduce(function, others, first)

    operator(name)(apply)


def _unary(name: str, function: Function) -> None:
    operator(name)(lambda x, /: function(x))


_BINARY: dict[str, Function] = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply}
_VARIADIC: dict[str, Function] = {"Max": np.maximum, "Min": np.minimum, "Sum": np.add}
_UNARY: dict[str, Function] = {
    "Neg": np.negative,
    "Abs": np.abs,
    "Sign": np.sign,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Log": np.log,
    "Tanh": np.tanh,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
}
for _name, _function in _BINARY.items():
    _binary(_name, _function)
for _name, _function in _VARIADIC.items():
    _variadic(_name, _function)
for _name, _function in _UNARY.items():
    _unary(_name, _function)


@operator("Div")
def div(x: Value, y: Value, /) -> Value:
    """Division; of integers it rounds towards zero."""
    same_dtype(x, y)
    if x.dtype.kind == "f":
        return np.divide(x, y)
    if not np.all(y):
        raise BundleError("an integer is divided by zero")
    quotient = np.abs(x) // np.abs(y)
    return np.where((x < 0) == (y < 0), quotient, -quotient).astype(x.dtype)


@operator("Pow")
def power(x: Value, y: Value, /) -> Value:
    """X to the power y, in x's dtype."""
    return np.power(x, y).astype(x.dtype)


@operator("Reciprocal")
def reciprocal(x: Value, /) -> Value:
    """1 / x."""
    return x.dtype.type(1) / x


@operator("Erf")
def erf(x: Value, /) -> Value:
    """The error function; numpy has none."""
    flat = [math.erf(value) for value in x.reshape(-1).tolist()]
    return np.array(flat, x.dtype).reshape(x.shape)


@operator("Clip")
def clip(x: Value, low: Value | None = None, high: Value | None = None, /) -> Value:
    """X bounded from below, then from above."""
    if low is not None:
        x = np.maximum(x, low)
    if high is not None:
        x = np.minimum(x, high)
    return x
