"""Which samples form which batch. Pure functions of a seed, the same on every machine and with every numpy release."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Dataset, Ints
from edgebll.data.sampling import UNIFORM, draw_weights
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.last_batch import DROP, MASK, check_last_batch
from edgebll.kernel.support.bounds import COUNT

_MAX_SEED = 2**32 - 1


def batch_order(num_samples: int, batch_size: int, seed: int, epoch: int) -> Ints:
    """Sample indices of every batch of an epoch: int64 (num_batches, batch_size), a seeded permutation; the rest is dropped.

    Raises:
        ConfigError: the samples do not fill one batch, or the seed or epoch is out of range.
    """
    check_batch_size(num_samples, batch_size)
    permutation = _permutation(num_samples, seed, epoch)
    num_batches = num_samples // batch_size
    return permutation[: num_batches * batch_size].reshape(num_batches, batch_size)


def epoch_order(
    dataset: Dataset, batch_size: int, seed: int, epoch: int, sampling: str = UNIFORM, last_batch: str = DROP
) -> tuple[Ints, Ints]:
    """The batches of an epoch of a run; of samples that come while the run goes on, the first is in the order they come.

    Args:
        dataset: the samples.
        batch_size: samples of a batch.
        seed: of the run.
        epoch: from 0; another order in each.
        sampling: "uniform", each sample once; or as many draws as there are samples, with replacement: "balanced", each class
            as likely as any other and none without a label, or by the data set's own weights, see `edgebll.data.sampling`.
        last_batch: "drop" or "mask"; then what is left is a batch that is filled up with its own samples, again from its first.

    Returns:
        Sample indices of every batch (num_batches, batch_size), and how many of each count (num_batches,).

    Raises:
        ConfigError: the samples do not fill one batch, or a number is out of range. DataError: samples cannot be drawn so.
    """
    check_last_batch(last_batch)
    count = len(dataset)
    if last_batch == DROP:
        check_batch_size(count, batch_size)
    COUNT.check("the batch size", batch_size)
    if dataset.arriving and not epoch:
        order = np.arange(count)
    elif sampling == UNIFORM:
        order = _permutation(count, seed, epoch)
    else:
        order = _drawn(draw_weights(dataset, sampling), seed, epoch)
    full, left = divmod(count, batch_size)
    counts = np.full(full, batch_size, np.int64)
    if last_batch == MASK and left:
        order = np.concatenate([order, np.resize(order[full * batch_size :], batch_size - left)])
        counts = np.append(counts, left)
    return order[: len(counts) * batch_size].reshape(len(counts), batch_size), counts


def batches_of(num_samples: int, batch_size: int, last_batch: str) -> int:
    """How many batches an epoch has.

    Args:
        num_samples: of the data set.
        batch_size: samples of a batch.
        last_batch: "drop" or "mask".
    """
    return -(-num_samples // batch_size) if last_batch == MASK else num_samples // batch_size


def _permutation(count: int, seed: int, epoch: int) -> Ints:
    order: Ints = _random(seed, epoch).permutation(count).astype(np.int64)
    return order


def _drawn(weights: npt.NDArray[np.float64], seed: int, epoch: int) -> Ints:
    ends = np.cumsum(weights)
    drawn = np.searchsorted(ends, _random(seed, epoch).random_sample(len(weights)) * ends[-1], side="right")
    last = np.flatnonzero(weights)[-1]  # a draw that rounds up to the end is of the last that weighs something
    return np.asarray(np.minimum(drawn, last), np.int64)


def _random(seed: int, epoch: int) -> np.random.RandomState:
    for name, value in (("seed", seed), ("epoch", epoch)):
        if not 0 <= value <= _MAX_SEED:
            raise ConfigError(f"the {name} must lie in 0..{_MAX_SEED}, but is {value}")
    return np.random.RandomState([seed, epoch])  # which, unlike default_rng, promises the same numbers in all releases


def eval_batches(num_samples: int, batch_size: int) -> Iterator[tuple[Ints, int]]:
    """All samples in order, in batches of one size.

    Yields:
        (indices int64 (batch_size,), count): the first `count` indices are valid; the last batch is padded with index 0.

    Raises:
        ConfigError: batch_size < 1.
    """
    COUNT.check("the batch size", batch_size)
    for start in range(0, num_samples, batch_size):
        count = min(batch_size, num_samples - start)
        indices = np.zeros(batch_size, np.int64)
        indices[:count] = np.arange(start, start + count)
        yield indices, count


def check_batch_size(num_samples: int, batch_size: int) -> None:
    """Raise ConfigError unless the samples fill at least one batch."""
    if not 1 <= batch_size <= num_samples:
        raise ConfigError(f"the batch size must lie in 1..{num_samples}, the number of training samples, but is {batch_size}")
