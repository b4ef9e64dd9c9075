"""A data set in memory."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgebll.errors import DataError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Dataset:
    """Images and their labels.

    Attributes:
        name: of the data set. images: float32 (N, C, H, W), normalised. labels: int64 (N,), each in [0, num_classes).

    Raises:
        DataError: the arrays do not fit each other or num_classes.
    """

    name: str
    images: Floats
    labels: Ints
    num_classes: int

    def __post_init__(self) -> None:
        if self.images.dtype != np.float32 or self.images.ndim != 4:
            raise DataError(f"{self.name}: images must be float32 (N, C, H, W), not {self.images.dtype} {self.images.shape}")
        if self.labels.dtype != np.int64 or self.labels.shape != self.images.shape[:1]:
            raise DataError(
                f"{self.name}: {len(self.images)} images need int64 labels of shape ({len(self.images)},), "
                f"not {self.labels.dtype} {self.labels.shape}"
            )
        if len(self.labels) == 0:
            raise DataError(f"{self.name}: there is not one image; give a data set with at least one")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= self.num_classes:
            raise DataError(f"{self.name}: labels must lie in 0..{self.num_classes - 1}, but reach from {low} to {high}")

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image, (C, H, W)."""
        return tuple(self.images.shape[1:])

    def one_hot(self, indices: Ints) -> Floats:
        """Labels of the samples `indices` (B,) as float32 (B, num_classes)."""
        result = np.zeros((len(indices), self.num_classes), np.float32)
        result[np.arange(len(indices)), self.labels[indices]] = 1.0
        return result
