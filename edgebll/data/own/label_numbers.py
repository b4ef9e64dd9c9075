"""Labels as they come: classes by number or name, as 0, 1, ... with names; other numbers as they are; or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Floats, Ints
from edgebll.data.own.data_options import CLASSES, NONE, NUMBERS, OwnDataOptions
from edgebll.kernel.errors import DataError

_SHOWN = 5
#: What masks of bytes have where there is no label.
_BLANK = 255
#: From here on a label that came as a float is told as one.
_LARGE = 1 << 53
T = TypeVar("T", bound=OwnDataOptions)


def settle_labels(name: str, values: npt.NDArray[Any] | None, options: T) -> tuple[Any, T]:
    """Labels as a `Dataset` has them: int64 classes, float32 numbers, or None; and the options, which then say which.

    Args:
        name: of the data, for messages.
        values: labels as they came (N, ...); None for none.
        options: of the data; unless they say it, numbers with fractions, and floats of several axes, are no classes.

    Raises:
        DataError: there are none, or not such as the options say.
    """
    kind = options.labels or _looks(values)
    if values is None and kind != NONE:
        raise DataError(f"{name} has no labels, but the data option labels is {kind}; give some")
    if values is None or kind == NONE:
        return None, replace(options, labels=NONE, classes=())
    if kind == NUMBERS:
        return _of_numbers(name, values), replace(options, labels=NUMBERS, classes=())
    if options.ignore_index is None:
        _refuse_blank(name, values, options.classes)
    labels, classes = label_numbers(name, values, options.classes, options.ignore_index)
    return labels, replace(options, labels=CLASSES, classes=classes)


def likely_blank(values: npt.NDArray[Any], classes: Sequence[str] = ()) -> int | None:
    """The label that seems to stand for none: a negative one, or 255 where the class before it, 254, does not occur.

    Args:
        values: labels as they came (N, ...).
        classes: names of the classes in their order; empty if nobody gave them.
    """
    if values.dtype.kind not in "iuf" or not values.size or not np.isfinite(values).all():
        return None
    low, high = int(values.min()), int(values.max())
    if low < 0:
        return low
    return high if high == _BLANK and len(classes) <= _BLANK and not (values == _BLANK - 1).any() else None


def _refuse_blank(name: str, values: npt.NDArray[Any], classes: Sequence[str]) -> None:
    blank = likely_blank(values, classes)
    if blank is not None:
        row = int(np.argwhere(values == blank)[0][0])
        raise DataError(
            f"{name}: labels must be classes numbered from 0 without a gap, but that of sample {row} is {blank}; if it "
            f"stands for no label, add --task-option ignore_index={blank} with --task, or --data-option ignore_index={blank}"
        )


def _looks(values: npt.NDArray[Any] | None) -> str:
    if values is None:
        return NONE
    whole = values.dtype.kind != "f" or (values.ndim == 1 and bool((values == np.floor(values)).all()))
    return CLASSES if whole else NUMBERS


def _of_numbers(name: str, values: npt.NDArray[Any]) -> Floats:
    try:
        with np.errstate(over="ignore"):
            numbers = values.astype(np.float32)
    except ValueError as error:
        raise DataError(f"{name}: labels must be numbers, but {error}; mend them or say labels=classes") from error
    if not np.isfinite(numbers).all():
        row = int(np.argwhere(~np.isfinite(numbers))[0][0])
        raise DataError(f"{name}: the label of sample {row} is not a finite number; mend it or take the sample out")
    return numbers


def label_numbers(
    name: str, values: npt.NDArray[Any], classes: Sequence[str] = (), ignore_index: int | None = None
) -> tuple[Ints, tuple[str, ...]]:
    """The class of each label.

    Args:
        name: of the data, for messages.
        values: whole numbers from 0, which are the classes, or texts, which are their names; (N,), (N, T) or masks (N, H, W).
        classes: names of the classes in their order; empty for those that occur: texts sorted, numbers up to the largest.
        ignore_index: the number that stands for no label, and is kept; None for none.

    Returns:
        The classes int64 of the shape of `values`, and their names.

    Raises:
        DataError: a label is neither, or of no class.
    """
    if values.dtype.kind in "US":
        return _of_names(name, values.astype(str), classes)
    whole = values.dtype.kind == "f" and bool(np.isfinite(values).all() and (values == np.floor(values)).all())
    if not (whole or values.dtype.kind in "iub") or values.ndim not in (1, 2, 3) or not values.size:
        raise DataError(
            f"{name}: labels must be whole numbers from 0 or names of classes, one a sample, not {values.dtype} {values.shape}"
        )
    seen = values if ignore_index is None else values[values != ignore_index]
    if not seen.size:
        raise DataError(f"{name}: every label is {ignore_index}, which counts as none; give samples with labels")
    low, high = int(seen.min()), int(seen.max())
    if low < 0 or high >= (len(classes) or max(2, values.size)):
        most = (len(classes) or values.size) - 1
        wrong = ((values < 0) | (values > most)) & (values != ignore_index)
        row, came = int(np.argwhere(wrong)[0][0]), values[wrong][0].item()
        told = int(came) if abs(came) < _LARGE else came
        raise DataError(f"{name}: labels must lie in 0..{most}, but that of sample {row} is {told}; number them from 0")
    return values.astype(np.int64), tuple(classes) or tuple(str(label) for label in range(high + 1))


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
