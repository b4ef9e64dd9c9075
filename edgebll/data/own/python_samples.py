"""What a Python program has as data - arrays, an iterable, a torch Dataset - as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.own.held_out import PART_NAMES
from edgebll.kernel.errors import DataError, EdgebllError

Arrays = dict[str, npt.NDArray[Any]]
WORDS = "arrays (x, y), or an iterable of pairs (sample, label)"


def gathered(value: Any, what: str) -> Arrays:
    """Samples and labels as arrays x and y, or x_train, y_train, x_test, y_test; everything is read once, in order.

    Args:
        value: a mapping of such arrays; a mapping with "train" and "test", each any of these; a pair of arrays (x, y); anything
            with a length and places, such as a torch Dataset, or anything that can be iterated over, of pairs
            (sample, label). Samples are arrays, tensors or images of Pillow, labels whole numbers or names, which are classes,
            numbers or arrays, or None.
        what: it is, for messages.

    Raises:
        DataError: it is none of these, samples differ in their shape, or reading one fails.
    """
    if isinstance(value, Mapping):
        if "x" in value or any(str(name).startswith("x_") for name in value):
            return {str(name): as_array(array, f"{name} of {what}") for name, array in value.items()}
        parts = {str(name): part for name, part in value.items() if str(name) in PART_NAMES}
        if len(parts) < len(value) or not parts:
            raise DataError(
                f"{what} must be {WORDS}, or have train and test, but has {', '.join(map(str, value)) or 'nothing'}"
            )
        found = {name: gathered(part, f"{name} of {what}") for name, part in parts.items()}
        return {f"{axis}_{name}": array for name, arrays in found.items() for axis, array in arrays.items()}
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(hasattr(part, "shape") for part in value):
        return {"x": as_array(value[0], f"x of {what}"), "y": as_array(value[1], f"y of {what}")}
    return _of_pairs(_items(value, what), what)


def as_array(value: Any, what: str) -> npt.NDArray[Any]:
    """Something as an array.

    Raises:
        DataError: it is none.
    """
    try:
        found = np.asarray(value)
    except Exception as error:  # tensors of a GPU, or that want a gradient, say what to do
        raise DataError(f"{what} cannot be made an array of numpy: {_told(error)}") from error
    if found.dtype == object:
        raise DataError(f"{what} must be numbers of one shape, not {type(value).__name__}")
    return found


def digest_arrays(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 of arrays with their names, types and shapes, as 64 hex digits."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _items(value: Any, what: str) -> Iterator[Any]:
    """All pairs of a thing with a length and places, or one that can be iterated over."""
    if hasattr(value, "__len__") and hasattr(value, "__getitem__"):
        return (value[index] for index in range(len(value)))
    if isinstance(value, Iterable):
        return iter(value)
    raise DataError(f"{what} must be {WORDS}, not {type(value).__name__}")


def _of_pairs(items: Iterator[Any], what: str) -> Arrays:
    samples, labels = list[npt.NDArray[Any]](), list[Any]()
    while True:
        where = f"sample {len(samples)} of {what}"
        try:
            pair = next(items)
        except StopIteration:
            break
        except EdgebllError:
            raise
        except Exception as error:  # the user's own code
            raise DataError(f"{where} cannot be read: {_told(error)}") from error
        sample, label = pair_of(pair, where)
        if samples and (sample.shape, sample.dtype) != (samples[0].shape, samples[0].dtype):
            first = f"{samples[0].dtype} {samples[0].shape}"
            raise DataError(f"{where} is {sample.dtype} {sample.shape}, but the first is {first}; make all alike")
        samples.append(sample)
        labels.append(label)
    if not samples:
        raise DataError(f"{what} gives not one sample; give some")
    if all(label is None for label in labels):
        return {"x": np.stack(samples)}
    return {"x": np.stack(samples), "y": as_array(labels, f"labels of {what}")}


def pair_of(pair: Any, where: str) -> tuple[npt.NDArray[Any], Any]:
    """A sample as an array, and its label.

    Raises:
        DataError: it is no pair, or the sample no array.
    """
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise DataError(f"{where} must be a pair (sample, label), not {type(pair).__name__}")
    label = pair[1]
    return as_array(pair[0], where), label.item() if hasattr(label, "item") and not getattr(label, "shape", ()) else label


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
