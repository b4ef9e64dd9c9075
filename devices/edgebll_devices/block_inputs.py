"""What a program of the user's gives to a block: made the numbers that its graphs take, or refused in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgebll.kernel.errors import DataError
from edgebll.kernel.spec.manifest import BlockSpec, TensorSpec
from edgebll.kernel.spec.side_inputs import side_inputs
from edgebll.kernel.state.block_state import Array
from edgebll.kernel.tasks import ClassTask, Task


def as_numbers(block: str, name: str, value: Any, expected: TensorSpec, *, any_count: bool = False) -> Array:
    """A value as an array that a block takes.

    Args:
        block: its name, for messages.
        name: of the value, for messages.
        value: an array, or what numpy makes one of.
        expected: dtype and shape; numbers of the same kind are converted, e.g. float64, as Python's lists become, to float32.
        any_count: whether the first axis may have any length of at least 1.

    Raises:
        DataError: another shape, another kind of numbers, ones that the dtype cannot hold, or NaN or infinite ones.
    """
    array = _array(block, name, value)
    wanted = tuple(expected.shape)
    if array.shape != wanted and not (any_count and array.ndim and len(array) and array.shape[1:] == wanted[1:]):
        first = "N" if any_count else wanted[0] if wanted else ""
        shape = ", ".join(map(str, (first, *wanted[1:]) if wanted else ()))
        raise DataError(
            f"{block} expected {name} of shape ({shape}) and got {array.shape}; give it in the shape of the training"
        )
    if array.dtype.name != expected.dtype:
        array = _converted(block, name, array, expected.dtype)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise DataError(
            f"{block} got NaN or infinite numbers in {name}, which would spoil its weights; leave those samples out"
        )
    return array


def as_labels(block: str, value: Any, expected: TensorSpec, task: Task | None, num_classes: int) -> Array:
    """Labels as a block takes them, from what a data set of the task has: class numbers, or the targets themselves.

    Args:
        block: its name, for messages.
        value: the targets as `expected` says, e.g. one-hot (B, C); of a task of classes also their numbers, e.g. (B,); numbers
            (B,) where the target is one number.
        expected: of the targets.
        task: what the network is for; None where its code is not here, and targets alone are taken.
        num_classes: of the network.

    Raises:
        DataError: as for `as_numbers`, a class that there is not, or targets that are none of the task, e.g. shares of classes
            whose sum is not 1.
    """
    array = _array(block, "y", value)
    fewer = array.ndim == len(expected.shape) - 1
    if task is not None and fewer and (array.dtype.kind in "iu" or not isinstance(task, ClassTask)):
        task.check_labels(array, f"{block}, y", num_classes)
        return as_numbers(block, "y", task.targets(array, num_classes), expected)
    if array.dtype.kind in "iub":
        array = array.astype(expected.dtype)
    targets = as_numbers(block, "y", array, expected)
    if task is not None:
        task.check_labels(targets, f"{block}, y", num_classes)
    return targets


def as_side_inputs(spec: BlockSpec, inputs: Mapping[str, Any], count: int) -> dict[str, Array]:
    """What a block reads of samples besides x, as arrays; names that are too many the runtime refuses.

    Args:
        spec: of the block.
        inputs: by name, each (count, ...).
        count: samples in x.

    Raises:
        DataError: as for `as_numbers`, or there are not as many samples of each.
    """
    known = {tensor.name: tensor for tensor in side_inputs(spec)}
    found = {
        name: as_numbers(spec.name, name, value, known[name], any_count=True) if name in known else np.atleast_1d(value)
        for name, value in inputs.items()
    }
    if odd := next((name for name, value in found.items() if len(value) != count), None):
        raise DataError(f"{spec.name} got {count} samples in x and {len(found[odd])} in {odd}; give as many of each")
    return found


def _array(block: str, name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError) as error:  # rows of different lengths, things that are no numbers
        raise DataError(f"{block} cannot make an array of {name} ({str(error).splitlines()[0]})") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{block} expected numbers in {name} and got {array.dtype.name}")
    return array


def _converted(block: str, name: str, array: Array, dtype: str) -> Array:
    kinds = ("f",) if np.dtype(dtype).kind == "f" else ("i", "u")
    if array.dtype.kind not in kinds or np.dtype(dtype).kind == "b":
        raise DataError(
            f"{block} expected {name} as {dtype} and got {array.dtype.name}; convert it as it was for the training, e.g. "
            f"pixels with x.astype('float32') / 255"
        )
    with np.errstate(over="ignore"):
        converted: Array = array.astype(dtype)
    if np.dtype(dtype).kind != "f" and not np.array_equal(converted, array):
        raise DataError(f"{block} expected {name} as {dtype}, which does not hold {array.min()} to {array.max()}")
    return converted
