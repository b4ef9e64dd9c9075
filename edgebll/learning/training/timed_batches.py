"""The batches of an epoch as training steps take them that see a part of the time steps each."""

from __future__ import annotations

from torch import Tensor

from edgebll.kernel.spec.time_chunks import chunk_of
from edgebll.learning.training.device_data import EpochBatches


class TimedBatches:
    """Batches cut in time; each is gathered once.

    Args:
        batches: whole ones.
        chunks: training steps that a sample takes.
        static: whether samples have no axis of time.
    """

    def __init__(self, batches: EpochBatches, chunks: int, *, static: bool) -> None:
        self._batches, self._chunks, self._static = batches, chunks, static
        self._held = -1
        self._batch: tuple[Tensor, Tensor] | None = None

    def of_step(self, step: int) -> tuple[Tensor, Tensor]:
        """Samples x and targets y of a training step of the epoch, from 0; x is (B, N, ...) of samples (T, ...)."""
        index = step // self._chunks
        if self._batch is None or self._held != index:
            self._held, self._batch = index, self._batches.batch(index)
        x, y = self._batch
        return chunk_of(x, step, self._chunks, static=self._static), y
