"""Which samples form which batch where the last one is kept, or classes are drawn alike."""

from __future__ import annotations

import numpy as np
import pytest

from edgebll.data import Dataset, batch_order
from edgebll.data.batches import batches_of, epoch_order
from edgebll.kernel.errors import ConfigError, DataError
from edgebll.kernel.tasks import Classification


def data(labels: list[int], classes: int = 3) -> Dataset:
    return Dataset("toy", np.zeros((len(labels), 2), np.float32), np.array(labels, np.int64), classes)


EVEN = data([0, 1, 2] * 4 + [0])


def test_dropped_batches_are_those_of_before() -> None:
    order, counts = epoch_order(EVEN, 4, 7, 2)
    assert np.array_equal(order, batch_order(13, 4, 7, 2))
    assert counts.tolist() == [4, 4, 4]
    assert batches_of(13, 4, "drop") == 3


@pytest.mark.parametrize("batch_size", [1, 4, 5, 13, 20])
def test_every_sample_counts_once_where_the_last_batch_is_masked(batch_size: int) -> None:
    order, counts = epoch_order(EVEN, batch_size, 7, 2, last_batch="mask")
    assert order.shape == (batches_of(13, batch_size, "mask"), batch_size)
    counted = [index for row, count in zip(order, counts, strict=True) for index in row[:count]]
    assert sorted(counted) == list(range(13))
    left = counts[-1]
    assert order[-1].tolist() == [order[-1][place % left] for place in range(batch_size)], "filled up with its own"


def test_classes_are_drawn_alike() -> None:
    labels = np.array([0] * 900 + [1] * 90 + [2] * 10)
    order, counts = epoch_order(data(labels.tolist()), 10, 3, 0, "balanced")
    assert counts.tolist() == [10] * 100
    shares = np.bincount(labels[order.ravel()], minlength=3) / 1000
    assert np.abs(shares - 1 / 3).max() < 0.05
    within = np.bincount(order.ravel(), minlength=1000)[990:]
    assert within.min() > 0, "each sample of a class may be drawn"


@pytest.mark.parametrize("blank", [255, -1, 1])
def test_samples_without_a_label_are_never_drawn(blank: int) -> None:
    labels = np.array([blank] * 50 + [0] * 45 + [2] * 5 + [blank] * 50)
    dataset = Dataset("toy", np.zeros((150, 2), np.float32), labels, 3, task=Classification(ignore_index=blank))
    order, _ = epoch_order(dataset, 10, 3, 0, "balanced")
    drawn = np.bincount(order.ravel(), minlength=150)
    assert drawn[:50].sum() + drawn[100:].sum() == 0
    assert abs(int(drawn[95:100].sum()) - 75) < 25, "the rare class as often as the other"


def test_draws_follow_from_seed_and_epoch() -> None:
    first = epoch_order(EVEN, 4, 3, 0, "balanced")[0]
    assert first.tolist() == [[9, 4, 7, 12], [7, 2, 1, 3], [7, 6, 1, 6]]
    assert np.array_equal(first, epoch_order(EVEN, 4, 3, 0, "balanced")[0])
    assert not np.array_equal(first, epoch_order(EVEN, 4, 3, 1, "balanced")[0])
    assert not np.array_equal(first, epoch_order(EVEN, 4, 4, 0, "balanced")[0])


def test_what_cannot_be_is_refused() -> None:
    numbers = Dataset("numbers", np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32))
    with pytest.raises(DataError, match="numbers has not one class for each sample, so none can be drawn by class"):
        epoch_order(numbers, 2, 0, 0, "balanced")
    with pytest.raises(ConfigError, match=r"must be one of uniform, balanced, weights:FILE\.npy or weights:NAME, not 'fair'"):
        epoch_order(EVEN, 2, 0, 0, "fair")
    with pytest.raises(ConfigError, match="the last batch must be one of drop, mask, not 'pad'"):
        epoch_order(EVEN, 2, 0, 0, last_batch="pad")
    with pytest.raises(ConfigError, match="must be at least 1, not 0"):
        epoch_order(EVEN, 0, 0, 0, last_batch="mask")
