"""What a Python program has as data - arrays, an iterable, a torch Dataset - as arrays."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.own.held_out import PART_NAMES
from edgebll.data.own.sample_inputs import of_part, parts_of
from edgebll.kernel.errors import DataError, EdgebllError

Arrays = dict[str, npt.NDArray[Any]]
WORDS = "arrays (x, y), or an iterable of pairs (sample, label)"


def gathered(value: Any, what: str) -> Arrays:
    """Samples and labels as arrays x and y, or x_train, y_train, x_test, y_test; everything is read once, in order.

    Args:
        value: a mapping of such arrays; a mapping with "train" and "test", each any of these; a pair of arrays (x, y); anything
            with a length and places, such as a torch Dataset, or anything that can be iterated over, of pairs
            (sample, label). Samples are arrays, tensors or images of Pillow, or dictionaries or tuples of these where a sample
            has several inputs, see `sample_inputs.parts_of`; x of a pair may be such too. Labels are whole numbers or names,
            which are classes, numbers or arrays, or None.
        what: it is, for messages.

    Raises:
        DataError: it is none of these, samples differ in their shape, or reading one fails.
    """
    if isinstance(value, Mapping):
        if "x" in value or any(str(name).startswith("x_") for name in value):
            return _named(value, what)
        parts = {str(name): part for name, part in value.items() if str(name) in PART_NAMES}
        if len(parts) < len(value) or not parts:
            raise DataError(
                f"{what} must be {WORDS}, or have train and test, but has {', '.join(map(str, value)) or 'nothing'}"
            )
        found = {name: gathered(part, f"{name} of {what}") for name, part in parts.items()}
        return {of_part(own, name): array for name, arrays in found.items() for own, array in arrays.items()}
    if isinstance(value, (tuple, list)) and len(value) == 2 and hasattr(value[1], "shape") and _is_array(value[0]):
        arrays = {name: as_array(part, f"{name} of {what}") for name, part in parts_of(value[0], f"x of {what}").items()}
        return {**arrays, "y": as_array(value[1], f"y of {what}")}
    return _of_pairs(_items(value, what), what)


def _named(value: Mapping[Any, Any], what: str) -> Arrays:
    """Arrays by name, of which those of samples may be several."""
    found: Arrays = {}
    for name, array in value.items():
        for part, own in parts_of(array, f"{name} of {what}").items():
            whole = f"{name}{part.removeprefix('x')}" if isinstance(array, Mapping) else str(name)
            found[whole] = as_array(own, f"{whole} of {what}")
    return found


def _is_array(value: Any) -> bool:
    """Whether it is an array, or several by name or in a tuple."""
    several = value.values() if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
    return all(hasattr(part, "shape") for part in several)


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
    samples, labels = list[Arrays](), list[Any]()
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
        if samples and _shown(sample) != _shown(samples[0]):
            raise DataError(f"{where} is {_shown(sample)}, but the first is {_shown(samples[0])}; make all alike")
        samples.append(sample)
        labels.append(label)
    if not samples:
        raise DataError(f"{what} gives not one sample; give some")
    arrays = {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}
    if all(label is None for label in labels):
        return arrays
    return {**arrays, "y": as_array(labels, f"labels of {what}")}


def _shown(sample: Arrays) -> str:
    return ", ".join(
        f"{name.removeprefix('x.') + ' ' if len(sample) > 1 else ''}{value.dtype} {value.shape}"
        for name, value in sample.items()
    )


def pair_of(pair: Any, where: str) -> tuple[Arrays, Any]:
    """A sample as arrays, "x" and those of other inputs, and its label.

    Raises:
        DataError: it is no pair, or the sample no array.
    """
    if not isinstance(pair, (tuple, list)) or len(pair) != 2:
        raise DataError(f"{where} must be a pair (sample, label), not {type(pair).__name__}")
    parts, label = parts_of(pair[0], where), pair[1]
    sample = {name: as_array(part, where if len(parts) == 1 else f"{name} of {where}") for name, part in parts.items()}
    return sample, label.item() if hasattr(label, "item") and not getattr(label, "shape", ()) else label


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
