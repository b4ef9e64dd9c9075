"""The one comparison of computed tensors: `edgebll verify`, `edgebll-board verify` and `edgebll export-step` all ask it.

Two correct implementations differ by rounding, so "equal" needs a measure. Two distances of a tensor are looked at, the largest
of any element and their mean, and each must be small in one of two ways:

    relative     at most `tolerance` times the same measure of what was computed. Of a state tensor that is its *change* in the
                 step: a gradient that is wrong by 1 % is wrong by 1 % of the change, however large the weight.
    by rounding  at most MARGIN times its *reach*: how far the reference itself moves when every operation in it rounds at
                 random (edgebll_export.bundles.random_rounding). Some results are nothing but rounding: the gradient of a bias
                 in front of batch norm is zero in exact arithmetic, and Adam still takes a whole step along what is left of it;
                 where a ReLU's input is zero within rounding, its gradient is 0 or 1 by chance. The reach says so of each
                 tensor alone; of a tensor that is well determined it is tiny, so that it hides nothing there.

What float32 cannot hold is left out of every distance: new weights are rounded to their own last digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from edgebll.kernel.state.block_state import Array

#: Precision -> largest relative error of any output, beyond which only rounding can explain a difference.
TOLERANCE = {"float32": 1e-4, "mixed": 5e-3, "bfloat16": 4e-2, "int8": 1e-4}
#: How far beyond the reference's own reach a difference still counts as explained by it.
MARGIN = 3.0
#: Four half units in the last place of float32: both sides round the new value and, before it, a product with the old one.
_RESOLUTION = 2.0**-22
#: Below it float32 has no full digits, and processors may round to zero.
_TINY = 1e-37

Distances = npt.NDArray[np.float64]


class Size(NamedTuple):
    """Two measures of a tensor of magnitudes."""

    peak: float
    mean: float


#: What rounding may do to a tensor: how far it moves floating-point numbers, or which of other elements it turns.
Reach = Size | npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Difference:
    """How far a computed tensor is from the expected one.

    Attributes:
        max_abs_error: largest |actual - expected|.
        max_rel_error: the larger of peak and mean distance, each over that of what was computed; infinite where only one side
            is finite, or where a tensor changed that should not have.
        elements_beyond: how many elements are off by more than the tolerance of the largest.
        by_rounding: an error exceeds the tolerance, but not what rounding may do.
        failed: it exceeds both.
    """

    max_abs_error: float
    max_rel_error: float
    elements_beyond: int = 0
    by_rounding: bool = False
    failed: bool = False


def compare(
    actual: Array, expected: Array, tolerance: float, *, before: Array | None = None, reach: Reach | None = None
) -> Difference:
    """Compare a tensor; one of other dtypes than floating-point ones exactly.

    Args:
        actual: of any shape.
        expected: what it is compared with.
        tolerance: largest relative error.
        before: of a state tensor its value before the step.
        reach: what rounding may do to it; None: not known.
    """
    if actual.dtype != expected.dtype or actual.shape != expected.shape:
        return Difference(np.inf, np.inf, expected.size, failed=True)
    absolute = float(_distances(actual, expected).max(initial=0.0))
    if expected.dtype.kind != "f":
        return _compare_exactly(actual, expected, absolute, reach)
    distances, size = _excess(actual, expected, before, before), _computed(expected, before)
    found = _size(distances)
    relative = tuple(_over(*pair) for pair in zip(found, size, strict=True))
    count = int((distances > tolerance * size.peak).sum())
    if all(error <= tolerance for error in relative):
        return Difference(absolute, max(relative), count)
    explained = isinstance(reach, Size) and all(
        error <= tolerance or distance <= MARGIN * limit for error, distance, limit in zip(relative, found, reach, strict=True)
    )
    return Difference(absolute, max(relative), count, by_rounding=explained, failed=not explained)


def compare_all(
    actual: Mapping[str, Array],
    expected: Mapping[str, Array],
    tolerance: float,
    before: Mapping[str, Array],
    reaches: Iterable[Mapping[str, Reach]],
) -> dict[str, Difference]:
    """Compare tensors by name; what rounding may do is asked only where one is beyond the tolerance.

    Args:
        actual: the tensors, and maybe more.
        expected: what they are compared with.
        tolerance: as for `compare`.
        before: of state tensors their values before the step.
        reaches: what rounding may do to each, as far as is known: taken until it explains all, and not at all if it need not.
    """
    found = {n: compare(actual[n], value, tolerance, before=before.get(n)) for n, value in expected.items()}
    known = iter(reaches)
    while failed := [name for name, difference in found.items() if difference.failed]:
        reach = next(known, None)
        if reach is None:
            break
        for n in failed:
            found[n] = compare(actual[n], expected[n], tolerance, before=before.get(n), reach=reach.get(n))
    return found


def movement(moved: Array, expected: Array, *, before: Array | None = None, moved_before: Array | None = None) -> Size:
    """How far a run that rounds at random is from `expected`; what is not finite says nothing.

    Args:
        moved: what it gave.
        expected: what the reference gave.
        before: of a state tensor its value before the reference's step.
        moved_before: the same of the moved run.
    """
    distances = _excess(moved, expected, before, moved_before)
    return _size(np.where(np.isfinite(distances), distances, 0.0))


def largest(sizes: Iterable[Size]) -> Size:
    """The largest of each measure; 0 of none."""
    return Size(*np.max([Size(0.0, 0.0), *sizes], axis=0).tolist())


def _compare_exactly(actual: Array, expected: Array, absolute: float, turned: Reach | None) -> Difference:
    differs = actual != expected
    size = float(np.abs(expected.astype(np.float64)).max(initial=0.0))
    explained = isinstance(turned, np.ndarray) and bool(turned[differs].all())
    wrong = bool(differs.any())
    relative = _over(absolute, size) if size > 0 else absolute
    return Difference(absolute, relative, int(differs.sum()), by_rounding=wrong and explained, failed=wrong and not explained)


def _excess(actual: Array, expected: Array, before: Array | None, actual_before: Array | None) -> Distances:
    """Distances of what was computed, less what float32 cannot hold of it beside the value before."""
    distances = _distances(actual, expected)
    if before is None or actual_before is None:
        return np.maximum(distances - _TINY, 0.0)
    old, wide = before.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        if actual_before is not before:
            distances = np.abs((actual.astype(np.float64) - actual_before.astype(np.float64)) - (wide - old))
        held = _RESOLUTION * np.maximum(np.abs(old), np.abs(wide)) + _TINY
        return np.asarray(np.where(np.isfinite(held), np.maximum(distances - held, 0.0), distances))


def _distances(actual: Array, expected: Array) -> Distances:
    """|actual - expected|: 0 where they are equal or both are no number, infinite where only one side is finite."""
    with np.errstate(invalid="ignore"):
        found = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    same = (actual == expected) | ((actual != actual) & (expected != expected))
    return np.where(same, 0.0, np.where(np.isfinite(found), found, np.inf))


def _computed(expected: Array, before: Array | None) -> Size:
    wide = expected.astype(np.float64)
    with np.errstate(invalid="ignore"):
        changed = np.abs(wide - before.astype(np.float64)) if before is not None else np.abs(wide)
    return _size(np.where(np.isfinite(changed), changed, 0.0))


def _size(magnitudes: Distances) -> Size:
    return Size(float(magnitudes.max(initial=0.0)), float(magnitudes.mean()) if magnitudes.size else 0.0)


def _over(error: float, size: float) -> float:
    if error == 0.0:
        return 0.0
    return error / size if size > 0 else np.inf
