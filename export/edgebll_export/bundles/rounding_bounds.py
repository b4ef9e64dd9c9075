"""What rounding explains: tolerances, and how far a function's results move when its inputs move by as much as numbers round.

Two correct implementations may differ by far more than a rounding error where the result is ill-conditioned: where a ReLU's
input is zero within rounding, its gradient is 0 or 1 by chance; the gradient of a bias in front of batch norm is zero but for
rounding, and Adam makes a step of full size of it. A difference above the tolerance is therefore compared with how far the
reference itself moves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import numpy.typing as npt

from edgebll.kernel.state.block_state import Array

#: Size of the noise that stands for rounding, relative to the inputs: what fast convolution algorithms round float32 by, and
#: the spacing of float16 below 1.
NOISE = {"float32": 3e-6, "mixed": 5e-4}
#: Largest relative error of any output by default.
TOLERANCE = {"float32": 1e-4, "mixed": 1e-2}
#: Runs with moved inputs.
TRIALS = 8
#: How far beyond the reference's own movement a difference still counts as explained by it.
MARGIN = 3.0

Distances = npt.NDArray[np.float64]


def errors(actual: Array, expected: Array) -> tuple[float, float]:
    """Largest absolute error, and the same over the largest magnitude of `expected`; infinite where a value is not finite."""
    difference = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    absolute = float(difference.max(initial=0.0))
    if not np.isfinite(absolute):
        return float("inf"), float("inf")
    scale = float(np.abs(expected.astype(np.float64)).max(initial=0.0))
    return absolute, absolute / scale if scale > 0 else absolute


def movements(expected: Mapping[str, Array], runs: Iterable[Mapping[str, Array]]) -> dict[str, Distances]:
    """How far each element moves from `expected`, at most, over runs with moved inputs; what is not finite says nothing."""
    largest: dict[str, Distances] = {name: np.zeros(value.shape) for name, value in expected.items()}
    for moved in runs:
        for name, value in moved.items():
            with np.errstate(invalid="ignore"):
                moved_by = np.abs(value.astype(np.float64) - expected[name].astype(np.float64))
            largest[name] = np.maximum(largest[name], np.where(np.isfinite(moved_by), moved_by, 0.0))
    return largest
