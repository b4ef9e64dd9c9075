"""Which samples form which batch. Pure functions of a seed, the same on every machine and with every numpy release."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgebll.data.dataset import Dataset, Ints
from edgebll.kernel.errors import ConfigError

_MAX_SEED = 2**32 - 1


def batch_order(num_samples: int, batch_size: int, seed: int, epoch: int) -> Ints:
    """Sample indices of every batch of an epoch: int64 (num_batches, batch_size), a seeded permutation; the rest is dropped.

    Raises:
        ConfigError: the samples do not fill one batch, or the seed or epoch is out of range.
    """
    check_batch_size(num_samples, batch_size)
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value <= _MAX_SEED:
            raise ConfigError(f"the {name} must lie in 0..{_MAX_SEED}, but is {value}")
    # RandomState, unlike default_rng, promises the same numbers in all releases.
    permutation = np.random.RandomState([seed, epoch]).permutation(num_samples).astype(np.int64)
    num_batches = num_samples // batch_size
    return permutation[: num_batches * batch_size].reshape(num_batches, batch_size)


def epoch_order(dataset: Dataset, batch_size: int, seed: int, epoch: int) -> Ints:
    """The order of an epoch of a run: that of `batch_order`, but samples that come while the run goes on first as they come."""
    order = batch_order(len(dataset), batch_size, seed, epoch)
    return np.arange(order.size).reshape(order.shape) if dataset.arriving and not epoch else order


def eval_batches(num_samples: int, batch_size: int) -> Iterator[tuple[Ints, int]]:
    """All samples in order, in batches of one size.

    Yields:
        (indices int64 (batch_size,), count): the first `count` indices are valid; the last batch is padded with index 0.

    Raises:
        ConfigError: batch_size < 1.
    """
    if batch_size < 1:
        raise ConfigError(f"the batch size must be at least 1, not {batch_size}")
    for start in range(0, num_samples, batch_size):
        count = min(batch_size, num_samples - start)
        indices = np.zeros(batch_size, np.int64)
        indices[:count] = np.arange(start, start + count)
        yield indices, count


def check_batch_size(num_samples: int, batch_size: int) -> None:
    """Raise ConfigError unless the samples fill at least one batch."""
    if not 1 <= batch_size <= num_samples:
        raise ConfigError(f"the batch size must lie in 1..{num_samples}, the number of training samples, but is {batch_size}")
