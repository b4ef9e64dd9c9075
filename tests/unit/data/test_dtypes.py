"""Samples in the dtype that a network takes."""

from __future__ import annotations

import numpy as np
import pytest

from edgebll.data import Dataset, load_dataset, training_batch
from edgebll.kernel.errors import DataError

FIRST = np.arange(3)


def floats() -> Dataset:
    return Dataset("floats", np.zeros((4, 2), np.float32), np.zeros(4, np.int64), 2)


def tokens(largest: int, symbols: int = 0) -> Dataset:
    return Dataset("tokens", np.array([[0, 1], [2, largest]]), np.zeros(2, np.int64), 2, symbols=symbols)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_images_are_given_as_the_pixels_of_their_file(dtype: str) -> None:
    digits = load_dataset("digits", "test")
    whole = digits.as_dtype(dtype)
    x = whole.inputs(FIRST)
    assert x.dtype == dtype
    assert np.array_equal(x, digits.samples[FIRST])
    assert 1 < x.max() <= 16
    assert digits.inputs(FIRST).dtype == np.float32
    assert np.array_equal(whole.as_dtype("float32").inputs(FIRST), digits.inputs(FIRST))


def test_whole_pixels_are_shifted_as_normalised_ones_are() -> None:
    digits = load_dataset("digits", "test")
    whole, _ = training_batch(digits.as_dtype("uint8"), FIRST, "reflect", 0, 0)
    normalised, _ = training_batch(digits, FIRST, "reflect", 0, 0)
    assert digits.table is not None
    assert np.array_equal(digits.table[0][whole], normalised)
    assert not np.array_equal(whole, digits.samples[FIRST])


def test_tokens_without_symbols_are_numbers_in_float32() -> None:
    x = tokens(7).inputs(np.array([1]))
    assert x.dtype == np.float32
    assert x.tolist() == [[2.0, 7.0]]


def test_tokens_with_symbols_are_one_hot_in_float32() -> None:
    x = tokens(3, symbols=4).inputs(np.array([1]))
    assert x.tolist() == [[[0, 0, 1, 0], [0, 0, 0, 1]]]


def test_numbers_that_are_not_whole_are_refused() -> None:
    with pytest.raises(DataError, match="samples of floats come as float32, not as int64 as the network takes them"):
        floats().as_dtype("int64")
    with pytest.raises(DataError, match="samples of digits come as float32, int64, int32, uint8, not as bool"):
        load_dataset("digits", "test").as_dtype("bool")


def test_numbers_that_the_dtype_cannot_hold_are_refused() -> None:
    with pytest.raises(DataError, match="samples of tokens reach from 0 to 300, which uint8 cannot hold"):
        tokens(300).as_dtype("uint8")
    assert tokens(300).as_dtype("int32").inputs(np.array([1]))[0, 1] == 300


def test_more_symbols_than_are_told_are_refused() -> None:
    with pytest.raises(DataError, match=r"samples of 3 symbols must be int64 in 0\.\.2"):
        tokens(3, symbols=3)
