"""Spikes of samples as an array that is made where it is looked at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Ints


class SpikeRows:
    """Spikes (N, T, ...) as float32 0 and 1, for `Dataset.samples`; a batch is made when it is asked for, never the whole.

    Args:
        make: spikes of the samples `rows` (B,): bool (B, T, ...).
        shape: of one sample.
        rows: which samples, int64 (N,).
        here: whether samples `rows` (B,) are there and need not be waited for; None where all are.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self,
        make: Callable[[Ints], npt.NDArray[Any]],
        shape: tuple[int, ...],
        rows: Ints,
        here: Callable[[Ints], bool] | None = None,
    ) -> None:
        self._make, self._rows, self._here = make, rows, here
        self.shape = (len(rows), *shape)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """The samples `index` (B,) as an array (B, T, ...); of a slice, the same samples without the others."""
        if isinstance(index, slice):
            return SpikeRows(self._make, self.shape[1:], self._rows[index], self._here)
        return self._make(self._rows[index]).astype(np.float32)

    def ready(self, index: Ints) -> bool:
        """Whether the samples `index` (B,) are there."""
        return self._here is None or self._here(self._rows[index])

    def copy(self) -> SpikeRows:
        """The same samples; nothing is copied, for nothing is ever changed."""
        return self

    def min(self) -> int:
        """The least there may be."""
        return 0

    def max(self) -> int:
        """The most there may be."""
        return 1
