"""A data set in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edgebll.kernel.errors import DataError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Samples = npt.NDArray[np.float32] | npt.NDArray[np.int64] | npt.NDArray[np.int32] | npt.NDArray[np.uint8]

FLOAT32 = "float32"
#: Whole numbers that samples may be given as, besides float32.
WHOLE = ("int64", "int32", "uint8")


@dataclass(frozen=True)
class Dataset:
    """Samples and their labels.

    Attributes:
        name: of the data set.
        samples: float32 (N, ...); or images as they are in their files: uint8 (N, C, H, W), a quarter of the memory; or tokens:
            int64 (N, ...).
        labels: int64 in [0, num_classes): (N,), or (N, T) where every position of a sequence has a class.
        table: for uint8 samples, float32 (C, 256): the number each value of each channel stands for.
        source: where the samples come from, where that matters beside a figure, e.g. "made from JPEG".
        symbols: for int64 samples, how many different tokens there are; in float32 each is one-hot then. 0: it is the number.
        dtype: what a network gets its samples as, see `as_dtype`.

    Raises:
        DataError: the arrays do not fit each other or num_classes.
    """

    name: str
    samples: Floats | Bytes | Ints
    labels: Ints
    num_classes: int
    table: Floats | None = None
    source: str = ""
    symbols: int = 0
    dtype: str = FLOAT32

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
            fits = samples.dtype in (np.float32, np.int64) and samples.ndim >= 2
        else:
            fits = samples.dtype == np.uint8 and samples.ndim == 4
            fits = fits and table.dtype == np.float32 and table.shape == (samples.shape[1], 256)
        if not fits:
            raise DataError(
                f"{self.name}: samples must be float32 (N, ...), int64 (N, ...), or uint8 (N, C, H, W) with a table (C, 256), "
                f"not {samples.dtype} {samples.shape}"
            )
        if self.symbols and (samples.dtype != np.int64 or samples.min() < 0 or samples.max() >= self.symbols):
            raise DataError(f"{self.name}: samples of {self.symbols} symbols must be int64 in 0..{self.symbols - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample as a network gets it, e.g. (C, H, W)."""
        shape = tuple(self.samples.shape[1:])
        return (*shape, self.symbols) if self.symbols and self.dtype == FLOAT32 else shape

    @property
    def label_shape(self) -> tuple[int, ...]:
        """Shape of one sample's one-hot labels: (num_classes,), or (T, num_classes)."""
        return (*self.labels.shape[1:], self.num_classes)

    def as_dtype(self, dtype: str) -> Dataset:
        """The same samples for a network with inputs of another dtype.

        Args:
            dtype: "float32": pixels normalised, tokens one-hot. One of WHOLE: pixels and tokens as the numbers they are.

        Raises:
            DataError: the samples are no whole numbers, or too large ones for this dtype.
        """
        if dtype == self.dtype:
            return self
        if dtype not in (FLOAT32, *WHOLE) or (dtype in WHOLE and self.samples.dtype == np.float32):
            kinds = FLOAT32 if self.samples.dtype == np.float32 else ", ".join((FLOAT32, *WHOLE))
            raise DataError(f"samples of {self.name} come as {kinds}, not as {dtype} as the network takes them")
        if dtype in WHOLE:
            low, high = int(self.samples.min()), int(self.samples.max())
            if low < np.iinfo(dtype).min or high > np.iinfo(dtype).max:
                raise DataError(f"samples of {self.name} reach from {low} to {high}, which {dtype} cannot hold")
        return replace(self, dtype=dtype)

    def inputs(self, indices: Ints) -> Samples:
        """The samples `indices` (B,) as the network takes them: `dtype`, (B, *input_shape)."""
        return self.numbers(self.samples[indices])

    def numbers(self, samples: Samples) -> Samples:
        """Samples as they are stored (B, ...) as the numbers that the network takes."""
        if self.dtype != FLOAT32 or (self.table is None and not self.symbols):
            return np.asarray(samples, self.dtype)
        if self.table is None:
            return np.eye(self.symbols, dtype=np.float32)[samples]
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
