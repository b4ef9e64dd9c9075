"""Samples of several inputs: how their arrays are named, and how a sample that is a dictionary or a tuple becomes some.

The first input is x. Another one, say readings, is the array x.readings, or any array that the data option `inputs` names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import ConfigError, DataError

X = "x"
_NO_INPUTS = {X: "is x itself", "y": "has the labels"}
Arrays = Mapping[str, npt.NDArray[Any]]


def parts_of(sample: Any, where: str) -> dict[str, Any]:
    """What a sample is made of, by the names of the arrays that it goes to.

    Args:
        sample: an array, or a dictionary of such by name or a tuple of such: the first is x, or the one called so, and those
            of a tuple are called x, x1, x2.
        where: it is, for messages.

    Raises:
        DataError: a dictionary of nothing.
    """
    if isinstance(sample, tuple) and len(sample) > 1 and all(getattr(part, "shape", ()) for part in sample):
        sample = {X if not index else f"{X}{index}": part for index, part in enumerate(sample)}
    if not isinstance(sample, Mapping):
        return {X: sample}
    if not sample:
        raise DataError(f"{where} is a dictionary of nothing; give it an array for each input")
    names = [str(name) for name in sample]
    first = X if X in names else names[0]
    return {X if name == first else f"{X}.{name}": sample[key] for name, key in zip(names, sample, strict=True)}


def of_part(name: str, part: str) -> str:
    """What an array of a part of the data is called: y_train, x_train, x_train.readings."""
    own, dot, side = name.partition(".")
    return f"{own}_{part}{dot}{side}"


def check_inputs(name: str, inputs: Sequence[str]) -> None:
    """Refuse a data option `inputs` that names the samples or the labels, or one input twice; those of runs were accepted.

    Args:
        name: of the data.
        inputs: the data option.

    Raises:
        ConfigError: it does.
    """
    for place, wanted in enumerate(inputs):
        reason = _NO_INPUTS.get(wanted) or ("is named twice" if wanted in inputs[:place] else "")
        if reason:
            raise ConfigError(
                f"{name}: the data option inputs names what samples have besides x, but {wanted} {reason}; leave it out"
            )


def first_input(arrays: Arrays, inputs: Sequence[str]) -> str:
    """The name of the array, or of those of the parts, that are x.

    Args:
        arrays: of the data.
        inputs: the data option.
    """
    has_x = any(name == X or name.startswith((f"{X}_", f"{X}.")) for name in arrays)
    return X if has_x or not inputs else inputs[0]


def side_arrays(name: str, arrays: Arrays, suffix: str, inputs: Sequence[str]) -> dict[str, npt.NDArray[Any]]:
    """What samples have besides x, by name, in the order of names.

    Args:
        name: of the data.
        arrays: theirs, by name.
        suffix: of the names of arrays of a part, e.g. "_train"; empty for undivided data.
        inputs: the data option.

    Raises:
        DataError: an input that the option names is missing, or is no array of numbers, or not finite.
    """
    first, own = first_input(arrays, inputs), f"{X}{suffix}."
    found = {key.removeprefix(own): f"{key}" for key in arrays if key.startswith(own)}
    for wanted in inputs:
        if wanted != first and wanted not in found:
            found[wanted] = f"{wanted}{suffix}"
    for wanted, key in found.items():
        if key not in arrays:
            has = ", ".join(sorted(arrays))
            raise DataError(f"{name} has no array {key!r} for the input {wanted}, but {has}; name it so, or mend inputs")
    return {wanted: _checked(f"{name}: {key}", arrays[key]) for wanted, key in sorted(found.items())}


def side_dtype(values: npt.NDArray[Any]) -> str:
    """What a network gets an array of a side input as: truth values and images of bytes as they are, others as numbers."""
    if values.dtype == np.bool_ or (values.dtype == np.uint8 and values.ndim == 4):
        return str(values.dtype)
    return "int64" if np.issubdtype(values.dtype, np.integer) else "float32"


def joined(name: str, parts: Sequence[Mapping[str, npt.NDArray[Any]]]) -> dict[str, npt.NDArray[Any]]:
    """The side inputs of all parts of the data, one part after another.

    Args:
        name: of the data.
        parts: of each its side inputs.

    Raises:
        DataError: a part has others than the first, or of another shape or type.
    """
    first = parts[0]
    for part in parts[1:]:
        kinds = [{key: (side_dtype(value), value.shape[1:]) for key, value in own.items()} for own in (first, part)]
        if kinds[0] != kinds[1]:
            raise DataError(f"{name}: side inputs for training and for evaluation must be the same, of one shape and type")
    if len(parts) == 1:
        return dict(first)
    return {key: np.concatenate([part[key] for part in parts]) for key in first}


def _checked(what: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if values.dtype.kind not in "biuf" or not values.ndim:
        raise DataError(f"{what} must be numbers (samples, ...), not {values.dtype} {values.shape}")
    if values.dtype.kind == "f":
        rows = np.flatnonzero(~np.isfinite(values).reshape(len(values), -1).all(1))
        if len(rows):
            raise DataError(f"{what} has a number that is not finite in sample {rows[0]}; mend it or take the sample out")
    return values
