"""The series for exp and log against float64, their edges, and what conversions do with what does not fit."""

from __future__ import annotations

import numpy as np
import pytest

from edgebll.kernel.microcontroller.ordered_arithmetic import (
    OPERATIONS,
    loaded_floats,
    ordered_exp,
    ordered_log,
    stored_numbers,
)
from edgebll.kernel.microcontroller.plan_parts import Code

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def _ulps(actual: np.ndarray, exact: np.ndarray) -> float:
    return float(np.max(np.abs(actual.astype(np.float64) - exact) / np.spacing(np.abs(exact).astype(np.float32))))


def test_exp_is_within_two_units_of_the_last_place() -> None:
    x = np.linspace(-87, 88, 40_001).astype(np.float32)
    assert _ulps(ordered_exp(x), np.exp(x.astype(np.float64))) < 2


def test_log_is_within_two_units_of_the_last_place() -> None:
    x = np.concatenate([np.logspace(-44, 38, 40_001), np.linspace(0.5, 2, 20_001)]).astype(np.float32)
    x = x[(x > 0) & (np.abs(np.log(x.astype(np.float64))) > 1e-30)]
    assert _ulps(ordered_log(x), np.log(x.astype(np.float64))) < 2


def test_edges_are_as_ieee_has_them() -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 89.0, -88.0, 0.0], np.float32)
    np.testing.assert_array_equal(ordered_exp(odd), np.array([np.nan, np.inf, 0, np.inf, 0, 1], np.float32))
    odd = np.array([np.nan, np.inf, -1.0, 0.0, -0.0, 1.0], np.float32)
    np.testing.assert_array_equal(ordered_log(odd), np.array([np.nan, np.inf, np.nan, -np.inf, -np.inf, 0], np.float32))


def test_results_stay_float32() -> None:
    x = np.array([0.5, 2.0], np.float32)
    assert ordered_exp(x).dtype == ordered_log(x).dtype == np.float32
    for code, operation in OPERATIONS.items():
        assert operation(*[x] * code.sources).dtype == np.float32, code


def test_not_a_number_goes_through_a_rectifier() -> None:
    """As in ONNX; a comparison the other way round would hide it."""
    assert np.isnan(OPERATIONS[Code.RELU](np.array([np.nan], np.float32)))


def test_what_does_not_fit_an_integer_is_cut_off() -> None:
    value = np.array([-1.0, 300.0, np.nan, 2.9, -2.9], np.float32)
    assert stored_numbers(value, np.dtype(np.uint8)).tolist() == [0, 255, 0, 2, 0]
    assert stored_numbers(value * np.float32(1e20), np.dtype(np.int32)).tolist() == [
        -(2**31),
        2147483520,
        0,
        2147483520,
        -(2**31),
    ]
    assert stored_numbers(value, np.dtype(np.int64)).tolist() == [-1, 300, 0, 2, -2]


def test_of_an_8_byte_integer_the_low_half_counts() -> None:
    assert loaded_floats(np.array([(1 << 32) + 5, -3], np.int64)).tolist() == [5.0, -3.0]
