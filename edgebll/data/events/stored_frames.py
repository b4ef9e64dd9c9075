"""Frames of events as they are kept on the disk, and as samples: bits where they are 0 or 1, bytes where they are counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgebll.data.dataset import Bytes
from edgebll.kernel.errors import DataError

_MOST_BYTES = 64 << 30


def row_bytes(frame: tuple[int, ...], *, counts: bool = False) -> int:
    """Bytes that a sample takes.

    Args:
        frame: its shape.
        counts: whether each value takes a byte.
    """
    values = int(np.prod(frame))
    return values if counts else -(-values // 8)


def check_kept(name: str, count: int, frame: tuple[int, ...], *, counts: bool = False) -> None:
    """Refuse frames that would fill a disk.

    Args:
        name: of the data.
        count: of samples.
        frame: shape of one.
        counts: whether each value takes a byte.

    Raises:
        DataError: there are too many.
    """
    total = count * row_bytes(frame, counts=counts)
    if total > _MOST_BYTES:
        raise DataError(
            f"{total / 2**30:,.0f} GiB of frames of {count} samples of {name} are more than the {_MOST_BYTES >> 30} GiB that "
            "are kept at most; lower the data option time_steps or sensor"
        )


def as_rows(frames: npt.NDArray[Any], *, counts: bool = False) -> Bytes:
    """Samples as they are kept.

    Args:
        frames: uint8 or bool (B, ...).
        counts: whether each value takes a byte.

    Returns:
        uint8 (B, row_bytes).
    """
    flat = frames.reshape(len(frames), -1)
    return flat.astype(np.uint8) if counts else np.packbits(flat != 0, axis=1)


class StoredFrames:
    """Samples (N, T, ...) that are kept as rows of bytes, gathered where they are looked at.

    Args:
        rows: uint8 (N, row_bytes).
        frame: shape of a sample.
        counts: whether each value takes a byte.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, rows: npt.NDArray[Any], frame: tuple[int, ...], *, counts: bool = False) -> None:
        self._rows, self._frame, self._counts = rows, frame, counts
        self.shape = (len(rows), *frame)
        self.ndim = len(self.shape)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        """The samples `index`, of a slice or (B,), as uint8 (B, T, ...)."""
        rows = np.asarray(self._rows[index])
        if not self._counts:
            rows = np.unpackbits(rows, axis=1, count=int(np.prod(self._frame)))
        return rows.reshape(len(rows), *self._frame)
