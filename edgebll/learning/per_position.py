"""Which view of a block's output a local loss has: of sequences with a label for every position, each position is a sample.

A block output (B, T, F, ...) and labels (B, T, C) become B T samples (F, ...) and their labels, so every rule that knows blocks
of features, maps or volumes trains sequences and videos too.
"""

from __future__ import annotations

from torch import Tensor

from edgebll.learning.objective import Tensors
from edgebll.learning.reshaped import Reshaped


class PerPosition(Reshaped):
    """An objective of one position, applied to every position of a sequence: the loss is the mean over all."""

    def output(self, a: Tensor) -> Tensor:
        """(B, T, ...) to (B T, ...)."""
        return a.flatten(0, 1)

    def labels(self, y: Tensor) -> Tensor:
        """(B, T, C) to (B T, C)."""
        return y.flatten(0, 1)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Targets (B, T, F) for labels y (B, T, C)."""
        return super().beta(feedback, y).reshape(*y.shape[:2], -1)
