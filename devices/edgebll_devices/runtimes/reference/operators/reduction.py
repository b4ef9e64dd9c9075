"""Reductions over axes, and cumulative sums.

The axes come as an attribute or, since opset 13 (ReduceSum) and 18 (the others), as an input.
"""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Function, Value, axes_of, operator


def _reduction(name: str, function: Function) -> None:
    def apply(
        x: Value,
        axes_input: Value | None = None,
        /,
        *,
        axes: Sequence[int] = (),
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Value:
        over = axes_of(x.ndim, axes if axes_input is None else axes_input.tolist())
        if not over and noop_with_empty_axes:
            return x
        result: Value = function(x, axis=over or None, keepdims=bool(keepdims))
        return np.asarray(result, x.dtype)

    operator(name)(apply)


_REDUCTIONS: dict[str, Function] = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceSumSquare": lambda x, **options: np.sum(x * x, **options),
    "ReduceL1": lambda x, **options: np.sum(np.abs(x), **options),
    "ReduceL2": lambda x, **options: np.sqrt(np.sum(x * x, **options)),
}
for _name, _function in _REDUCTIONS.items():
    _reduction(_name, _function)


def _arg(name: str, function: Function) -> None:
    def apply(x: Value, /, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Value:
        result = x.shape[axis] - 1 - function(np.flip(x, axis), axis=axis) if select_last_index else function(x, axis=axis)
        return np.asarray(np.expand_dims(result, axis) if keepdims else result, np.int64)

    operator(name)(apply)


_arg("ArgMax", np.argmax)
_arg("ArgMin", np.argmin)


@operator("CumSum")
def cumulative_sum(x: Value, axis: Value, /, *, exclusive: int = 0, reverse: int = 0) -> Value:
    """Sums of the elements up to each position, or from it on; without the one there, if exclusive."""
    place = int(axis.reshape(()))
    turned = np.flip(x, place) if reverse else x
    sums = np.cumsum(turned, place, dtype=x.dtype)
    if exclusive:
        before = [(int(one == place % x.ndim), 0) for one in range(x.ndim)]
        sums = np.take(np.pad(sums, before), np.arange(x.shape[place]), place)
    return np.flip(sums, place) if reverse else sums


@operator("TopK", max_outputs=2)
def top(x: Value, count: Value, /, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> tuple[Value, Value]:
    """The largest or smallest elements along an axis in order, the first of equal ones first, and their positions."""
    wanted = int(count.reshape(()))
    if not 0 <= wanted <= x.shape[axis]:
        raise BundleError(f"{wanted} of {x.shape[axis]} elements cannot be found")
    turned = np.flip(x, axis) if largest else x  # of equal ones, a stable sort that is read backwards has the last first
    order = np.argsort(turned, axis, kind="stable")
    places = x.shape[axis] - 1 - np.flip(order, axis) if largest else order
    places = np.take(places, np.arange(wanted), axis).astype(np.int64)
    return np.take_along_axis(x, places, axis), places
