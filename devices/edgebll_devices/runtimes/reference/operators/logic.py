"""Comparisons, truth values, choices and casts."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from edgebll.kernel.bundle.onnx_file import dtype_of
from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Function, Value, operator, same_dtype


def _binary(name: str, function: Function, *, only_bool: bool = False) -> None:
    def apply(x: Value, y: Value, /) -> Value:
        same_dtype(x, y)
        if only_bool and x.dtype != np.bool_:
            raise BundleError(f"the inputs must be bool, not {x.dtype.name}")
        return function(x, y)

    operator(name)(apply)


_COMPARISONS: dict[str, Function] = {
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Equal": np.equal,
}
_CONNECTIVES: dict[str, Function] = {"And": np.logical_and, "Or": np.logical_or, "Xor": np.logical_xor}
for _name, _function in _COMPARISONS.items():
    _binary(_name, _function)
for _name, _function in _CONNECTIVES.items():
    _binary(_name, _function, only_bool=True)


@operator("Not")
def logical_not(x: Value, /) -> Value:
    """Negation of truth values."""
    return np.logical_not(x)


@operator("IsNaN")
def is_nan(x: Value, /) -> Value:
    """Whether an element is not a number."""
    return np.isnan(x)


@operator("Where")
def where(condition: Value, x: Value, y: Value, /) -> Value:
    """X where the condition holds, y elsewhere."""
    same_dtype(x, y)
    return np.where(condition, x, y)


@operator("Cast")
def cast(x: Value, /, *, to: int) -> Value:
    """X in another dtype; floats are cut towards zero."""
    return x.astype(dtype_of(to))


@operator("Identity")
def identity(x: Value, /) -> Value:
    """X itself."""
    return x
