"""The task of reversing a permutation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from edgebll.data import load_dataset
from edgebll.data.reverse import permutations


@pytest.mark.parametrize("length", [1, 2, 5])
def test_ranks_number_the_permutations_in_lexicographic_order(length: int) -> None:
    ranks = np.arange(math.factorial(length))
    assert list(map(tuple, permutations(ranks, length).tolist())) == list(itertools.permutations(range(length)))


def test_samples_are_permutations_and_labels_their_reverse() -> None:
    train, test = load_dataset("reverse", "train"), load_dataset("reverse", "test")
    assert (len(train), len(test)) == (50_000, 10_000)
    assert train.input_shape == train.target_shape == (10, 10)
    x = train.inputs(np.arange(50_000))
    assert x.dtype == np.float32
    symbols = x.argmax(-1)
    assert np.array_equal(np.eye(10)[symbols], x)
    assert np.array_equal(np.sort(symbols, axis=1), np.tile(np.arange(10), (50_000, 1)))
    assert np.array_equal(symbols[:, ::-1], train.labels)
    y = train.targets(np.array([3, 1], np.int64))
    assert y.shape == (2, 10, 10)
    assert np.array_equal(y, x[[3, 1], ::-1])


def test_networks_that_take_whole_numbers_get_the_tokens() -> None:
    test = load_dataset("reverse", "test").as_dtype("int64")
    x = test.inputs(np.arange(10_000))
    assert (x.dtype, x.shape, test.input_shape) == (np.int64, (10_000, 10), (10,))
    assert np.array_equal(x[:, ::-1], test.labels)


def test_no_sample_comes_twice_and_no_test_sample_is_trained_on() -> None:
    rows = np.concatenate([load_dataset("reverse", split).labels for split in ("train", "test")])
    assert len(np.unique(rows @ 10 ** np.arange(10))) == 60_000


def test_the_samples_do_not_change_between_releases() -> None:
    assert load_dataset("reverse", "train", limit=1).labels.tolist() == [[6, 5, 8, 4, 1, 0, 9, 2, 7, 3]]
    assert load_dataset("reverse", "test", limit=1).labels.tolist() == [[5, 7, 6, 9, 8, 3, 0, 1, 4, 2]]
