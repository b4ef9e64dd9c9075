"""All samples of own data as they were read, and how they become a training and a test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Dataset, Floats, Ints, natural_task, pixel_table
from edgebll.data.own.data_options import CLASSES, NONE, YES, OwnDataOptions
from edgebll.data.own.held_out import TEST, TRAIN, decide, shuffled_rows
from edgebll.data.own.sample_inputs import side_dtype
from edgebll.data.own.sample_rows import SampleRows
from edgebll.kernel.errors import DataError

Doubles = npt.NDArray[np.float64]
_DIGITS = 6


@dataclass(frozen=True)
class SamplePool:
    """All samples of own data.

    Attributes:
        name: of the data.
        samples: (N, ...) of any type; uint8 (N, C, H, W) are images.
        labels: int64 (N,), or (N, T) where every position of a sequence has a class, or masks (N, H, W); float32 (N, ...), or
            None, as `Dataset.labels`.
        parts: int8 (N,), what each is for, see `held_out`.
        options: how they were prepared, with all that was found out.
        skipped: files that were left out, each with the reason.
        side: what samples have besides, by name (N, ...); given to a network as it is.
    """

    name: str
    samples: npt.NDArray[Any]
    labels: Any
    parts: npt.NDArray[np.int8]
    options: OwnDataOptions
    skipped: tuple[str, ...] = ()
    side: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def pixels(self) -> bool:
        """Whether the samples are images of a byte a pixel and channel."""
        return self.samples.dtype == np.uint8 and self.samples.ndim == 4


@dataclass(frozen=True)
class DataSplits:
    """The training and the test set of own data.

    Attributes:
        pool: all samples.
        rows: which of them are for what, by TRAIN and TEST.
        options: of their preparation, with all that was found out.
    """

    pool: SamplePool
    rows: Mapping[int, Ints]
    options: OwnDataOptions

    @property
    def skipped(self) -> tuple[str, ...]:
        """Files that were left out, each with the reason."""
        return self.pool.skipped

    def dataset(self, split: str) -> Dataset:
        """The split "train" or "test".

        Raises:
            DataError: it has no samples.
        """
        pool, options, rows = self.pool, self.options, self.rows[TRAIN if split == "train" else TEST]
        if not len(rows):
            raise DataError(
                f"{pool.name} has no {split} samples: the data option test, {options.test:g}, leaves none; change it"
            )
        mean, std = (np.array(values, np.float32) for values in (options.mean, options.std))
        table = None
        if pool.pixels:
            samples, table = SampleRows(pool.samples, rows), _table(pool, options)
        else:
            samples = SampleRows(pool.samples, rows, *((mean, std) if options.mean else ()))
        # Gathered like an array, and with what `Dataset` asks of one.
        labels = None if pool.labels is None else pool.labels[rows]
        task = natural_task(labels, options.ignore_index)
        side = {name: SampleRows(values, rows, dtype=side_dtype(values)) for name, values in pool.side.items()}
        return Dataset(pool.name, cast(Any, samples), labels, len(options.classes), table, task=task, side=side)


def split_pool(pool: SamplePool) -> DataSplits:
    """The training and the test set of a pool, normalised.

    Raises:
        DataError: there is only one class, or nothing to learn the normalisation from.
    """
    options, classes, labels = pool.options, pool.options.classes, pool.labels
    if options.labels == NONE:
        pool, labels = replace(pool, labels=None), None
    elif options.labels in ("", CLASSES) and len(classes) < 2:
        raise DataError(f"{pool.name} has one class only, {classes[0] if classes else 'unnamed'}; a network learns to tell two")
    strata = labels if labels is not None and labels.ndim == 1 and labels.dtype == np.int64 else np.zeros(len(pool.parts), int)
    strata = np.where(strata < 0, len(classes), strata)  # those without a label, as one class
    parts = decide(pool.parts, strata, options.test, options.split_seed)
    rows = {part: shuffled_rows(parts == part, options.split_seed) for part in (TRAIN, TEST)}
    return DataSplits(pool, rows, _measured(pool, rows[TRAIN], options))


def _table(pool: SamplePool, options: OwnDataOptions) -> Floats:
    channels = pool.samples.shape[1]
    return pixel_table(options.mean or (0.0,) * channels, options.std or (1.0,) * channels)


def _measured(pool: SamplePool, train: Ints, options: OwnDataOptions) -> OwnDataOptions:
    """The options with mean and deviation of each channel of the training samples, if they are to be normalised."""
    if options.normalize != YES or (np.issubdtype(pool.samples.dtype, np.integer) and not pool.pixels):
        return replace(options, mean=(), std=())
    channels = pool.samples.shape[1]
    if options.mean:
        if len(options.mean) != channels:
            raise DataError(f"{pool.name} has {channels} channels, but mean and std are given for {len(options.mean)}")
        return options
    if not len(train):
        raise DataError(f"{pool.name} has no training samples to normalise by; give the data options mean and std")
    mean, std = (_of_pixels if pool.pixels else _of_numbers)(SampleRows(pool.samples, train))
    std = np.where(std > 1e-6 * np.maximum(1, np.abs(mean)), std, 1.0)  # a channel that never changes stays as it is
    return replace(options, mean=_rounded(mean), std=_rounded(std))


def _of_pixels(train: SampleRows) -> tuple[Doubles, Doubles]:
    """Mean and deviation of each channel of images, whose pixels are parts of 255: by how often each value is there."""
    counts = np.zeros((train.shape[1], 256))
    for piece in train.pieces():
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(piece, 1, 0)]
    values, shares = np.arange(256) / 255, counts / counts.sum(1, keepdims=True)
    mean = shares @ values
    return mean, np.sqrt((shares * np.square(values - mean[:, None])).sum(1))


def _of_numbers(train: SampleRows) -> tuple[Doubles, Doubles]:
    """Mean and deviation of each channel, in double precision."""
    channels = train.shape[1]
    count, total, squares = 0, np.zeros(channels), np.zeros(channels)
    for piece in train.pieces():
        numbers = np.moveaxis(np.asarray(piece, np.float64), 1, 0).reshape(channels, -1)
        count, total, squares = count + numbers.shape[1], total + numbers.sum(1), squares + np.square(numbers).sum(1)
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))


def _rounded(values: Doubles) -> tuple[float, ...]:
    return tuple(float(f"{value:.{_DIGITS}g}") for value in values)
