"""A data set in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebll.errors import DataError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Dataset:
    """Samples and their labels.

    Attributes:
        name: of the data set.
        samples: float32 (N, ...), or images as they are in their files: uint8 (N, C, H, W), a quarter of the memory.
        labels: int64 in [0, num_classes): (N,), or (N, T) where every position of a sequence has a class.
        table: for uint8 samples, float32 (C, 256): the number each value of each channel stands for.
        source: where the samples come from, where that matters beside a figure, e.g. "made from JPEG".

    Raises:
        DataError: the arrays do not fit each other or num_classes.
    """

    name: str
    samples: Floats | Bytes
    labels: Ints
    num_classes: int
    table: Floats | None = None
    source: str = ""

    def __post_init__(self) -> None:
        self._check_samples()
        count, labels = len(self.samples), self.labels
        if labels.dtype != np.int64 or labels.ndim not in (1, 2) or len(labels) != count:
            raise DataError(
                f"{self.name}: {count} samples need int64 labels of shape ({count},) or ({count}, positions), "
                f"not {labels.dtype} {labels.shape}"
            )
        if labels.size == 0:
            raise DataError(f"{self.name}: there is not one sample; give a data set with at least one")
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= self.num_classes:
            raise DataError(f"{self.name}: labels must lie in 0..{self.num_classes - 1}, but reach from {low} to {high}")

    def _check_samples(self) -> None:
        samples, table = self.samples, self.table
        if table is None:
            fits = samples.dtype == np.float32 and samples.ndim >= 2
        else:
            fits = samples.dtype == np.uint8 and samples.ndim == 4
            fits = fits and table.dtype == np.float32 and table.shape == (samples.shape[1], 256)
        if not fits:
            raise DataError(
                f"{self.name}: samples must be float32 (N, ...), or uint8 (N, C, H, W) with a table (C, 256), "
                f"not {samples.dtype} {samples.shape}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, e.g. (C, H, W)."""
        return tuple(self.samples.shape[1:])

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one sample's one-hot labels: (num_classes,), or (T, num_classes)."""
        return (*self.labels.shape[1:], self.num_classes)

    def inputs(self, indices: Ints) -> Floats:
        """The samples `indices` (B,) as the network takes them: float32 (B, *input_shape)."""
        return self.numbers(self.samples[indices])

    def numbers(self, samples: Floats | Bytes) -> Floats:
        """Samples as they are stored (B, *input_shape) as the float32 numbers they stand for."""
        if self.table is None:
            return np.asarray(samples, np.float32)
        result = np.empty(samples.shape, np.float32)
        for channel, values in enumerate(self.table):
            result[:, channel] = values[samples[:, channel]]
        return result

    def one_hot(self, indices: Ints) -> Floats:
        """Labels of the samples `indices` (B,) as float32 (B, *label_shape)."""
        return np.eye(self.num_classes, dtype=np.float32)[self.labels[indices]]


def pixel_table(mean: tuple[float, ...], std: tuple[float, ...], largest: int = 255) -> Floats:
    """Dataset.table for pixels 0..largest: (pixel / largest - mean) / std by channel, computed in double precision."""
    values = np.arange(256) / float(largest)
    return np.stack([((values - m) / s).astype(np.float32) for m, s in zip(mean, std, strict=True)])
