"""Batches: every sample once an epoch, the same on every machine."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgebll.data import batch_order, eval_batches
from edgebll.kernel.errors import ConfigError

sizes = st.integers(1, 200).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n)))
seeds = st.integers(0, 2**32 - 1)


@given(sizes, seeds, st.integers(0, 1000))
def test_an_epoch_is_a_permutation_without_its_last_partial_batch(size: tuple[int, int], seed: int, epoch: int) -> None:
    num_samples, batch_size = size
    order = batch_order(num_samples, batch_size, seed, epoch)
    assert order.dtype == np.int64
    assert order.shape == (num_samples // batch_size, batch_size)
    assert len(np.unique(order)) == order.size
    assert order.min() >= 0
    assert order.max() < num_samples
    assert np.array_equal(order, batch_order(num_samples, batch_size, seed, epoch))


@given(seeds, st.integers(0, 1000))
def test_epochs_and_seeds_differ(seed: int, epoch: int) -> None:
    order = batch_order(100, 10, seed, epoch)
    assert not np.array_equal(order, batch_order(100, 10, seed, epoch + 1))
    assert not np.array_equal(order, batch_order(100, 10, seed ^ 1, epoch))


def test_the_order_does_not_change_between_releases() -> None:
    assert batch_order(10, 3, 0, 1).tolist() == [[9, 4, 0], [8, 1, 5], [3, 2, 6]]
    assert batch_order(60000, 64, 7, 3)[500, :4].tolist() == [51530, 11781, 23331, 10548]


@pytest.mark.parametrize(("batch_size", "seed", "epoch"), [(0, 0, 0), (11, 0, 0), (1, -1, 0), (1, 2**32, 0), (1, 0, -1)])
def test_what_makes_no_batches_is_refused(batch_size: int, seed: int, epoch: int) -> None:
    with pytest.raises(ConfigError, match=r"must lie in"):
        batch_order(10, batch_size, seed, epoch)


@given(st.integers(1, 200), st.integers(1, 64))
def test_evaluation_sees_every_sample_once_in_order(num_samples: int, batch_size: int) -> None:
    seen: list[int] = []
    for indices, count in eval_batches(num_samples, batch_size):
        assert indices.shape == (batch_size,)
        assert 1 <= count <= batch_size
        assert not indices[count:].any()
        seen += indices[:count].tolist()
    assert seen == list(range(num_samples))


def test_evaluation_in_batches_of_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        list(eval_batches(10, 0))
