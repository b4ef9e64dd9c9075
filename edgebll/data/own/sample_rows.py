"""Rows of an array, gathered when they are asked for: the array may lie on the disk, and be larger than memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgebll.data.dataset import Floats, Ints

#: So many bytes are read at a time where all rows are looked at.
_PIECE_BYTES = 32 << 20


class SampleRows:
    """Some rows of an array in an order of their own, for `Dataset.samples`; a batch is copied, never the whole.

    Args:
        base: the array (N, ...), or what is one to those who ask for rows; uint8 images (N, C, H, W) stay what they are, whole
            numbers become int64, all else float32.
        rows: which of its rows, int64 (M,).
        mean: what is subtracted from numbers of each channel, float32 (C,), the first axis of a sample; None for nothing.
        std: what they are divided by then, float32 (C,).
        dtype: of the rows, where it is not what is said above.
    """

    def __init__(
        self, base: Any, rows: Ints, mean: Floats | None = None, std: Floats | None = None, *, dtype: str | None = None
    ) -> None:
        self.base, self.rows = base, rows
        self._mean, self._std = mean, std
        pixels = base.dtype == np.uint8 and base.ndim == 4
        whole = np.dtype(np.int64 if np.issubdtype(base.dtype, np.integer) else np.float32)
        self.dtype = np.dtype(dtype) if dtype is not None else base.dtype if pixels else whole
        self.shape = (len(rows), *base.shape[1:])
        self.ndim = base.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """The samples `index` (B,) as an array (B, ...); of a slice, the same rows without the others."""
        if isinstance(index, slice):
            return SampleRows(self.base, self.rows[index], self._mean, self._std, dtype=str(self.dtype))
        found = np.asarray(self.base[self.rows[index]]).astype(self.dtype, copy=False)
        if self._mean is None or self._std is None:
            return found
        shape = (-1, *[1] * (self.ndim - 2))
        return (found - self._mean.reshape(shape)) / self._std.reshape(shape)

    @property
    def _arriving(self) -> bool:
        return hasattr(self.base, "bounds")

    def ready(self, index: Ints) -> bool:
        """Whether the samples `index` (B,) are there and need not be waited for."""
        return not self._arriving or bool(self.base.has(self.rows[index]))

    def copy(self) -> SampleRows:
        """The same rows; nothing is copied, for nothing is ever changed."""
        return self

    def min(self) -> Any:
        """The smallest number of all; the least there may be, while they still come."""
        return self.base.bounds[0] if self._arriving else min(piece.min() for piece in self.pieces())

    def max(self) -> Any:
        """The largest number of all; the most there may be, while they still come."""
        return self.base.bounds[1] if self._arriving else max(piece.max() for piece in self.pieces())

    def pieces(self) -> Iterator[Any]:
        """All samples, some at a time."""
        row_bytes = max(1, self.base[:1].nbytes)
        count = max(1, _PIECE_BYTES // row_bytes)
        for start in range(0, len(self), count):
            yield self[np.arange(start, min(start + count, len(self)))]
