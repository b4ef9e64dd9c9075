"""Labels as they come - numbers or names - as classes 0, 1, ... with names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints
from edgebll.kernel.errors import DataError

_SHOWN = 5


def label_numbers(name: str, values: npt.NDArray[Any], classes: Sequence[str] = ()) -> tuple[Ints, tuple[str, ...]]:
    """The class of each label.

    Args:
        name: of the data, for messages.
        values: whole numbers from 0, which are the classes, or texts, which are their names; (N,) or (N, T).
        classes: names of the classes in their order; empty for those that occur: texts sorted, numbers up to the largest.

    Returns:
        The classes int64 of the shape of `values`, and their names.

    Raises:
        DataError: a label is neither, or of no class.
    """
    if values.dtype.kind in "US":
        return _of_names(name, values.astype(str), classes)
    if values.dtype.kind == "f" and np.isfinite(values).all() and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    if values.dtype.kind not in "iub" or values.ndim not in (1, 2) or not values.size:
        raise DataError(
            f"{name}: labels must be whole numbers from 0 or names of classes, one a sample, not {values.dtype} {values.shape}"
        )
    labels = values.astype(np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= (len(classes) or max(2, labels.size)):
        most = (len(classes) or labels.size) - 1
        wrong = (labels < 0) | (labels > most)
        row, came = int(np.argwhere(wrong)[0][0]), labels[wrong][0]
        raise DataError(f"{name}: labels must lie in 0..{most}, but that of sample {row} is {came}; number them from 0")
    return labels, tuple(classes) or tuple(str(label) for label in range(high + 1))


def _of_names(name: str, values: npt.NDArray[Any], classes: Sequence[str]) -> tuple[Ints, tuple[str, ...]]:
    names = tuple(classes) or tuple(str(value) for value in np.unique(values))
    number = {label: place for place, label in enumerate(names)}
    flat = [number.get(str(value), -1) for value in values.ravel()]
    if -1 in flat:
        place = flat.index(-1)
        known = ", ".join(names[:_SHOWN])
        raise DataError(
            f"{name}: the label {values.ravel()[place]!s} of sample {place} is none of the classes {known}; mend it"
        )
    return np.array(flat, np.int64).reshape(values.shape), names
