"""Next byte: at each position of a text, which byte comes next."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgebll.kernel.tasks.classification import Classification
from edgebll.kernel.tasks.numpy_tensor import NumpyTensor
from edgebll.kernel.tasks.task import HIGHER, LOWER, Values

BITS = "bits_per_byte"


@dataclass(frozen=True)
class NextByte(Classification):
    """Classification of every position among 256 bytes, judged by how many bits a byte of the text takes.

    With p the network's share for the byte y_t that follows position t, and T positions of all samples,

        bits per byte = -1/T sum_t log2 p(y_t)

    which is the cross-entropy in nats by ln 2, without label smoothing or class weights even where those are trained with.

    Examples:
        >>> from edgebll.kernel.tasks import NextByte
        >>> NextByte().metrics
        {'bits_per_byte': 'lower', 'accuracy': 'higher'}
    """

    name: ClassVar[str] = "next-byte"
    summary: ClassVar[str] = "The byte that follows each byte of a text."
    metrics: ClassVar[dict[str, str]] = {BITS: LOWER, "accuracy": HIGHER}

    def sums(self, output: Values, y: Values, count: int) -> dict[str, float]:
        """Those of classification, and the bits of all samples, a sample's being the mean over its positions."""
        z, target = np.asarray(output[:count], np.float64), np.asarray(y[:count], np.float64)
        bits = -(target * NumpyTensor(z).log_softmax(-1).array).sum() / math.log(2)
        positions = max(1, math.prod(z.shape[1:-1]))
        return {**super().sums(output, y, count), f"{BITS}_sum": float(bits / positions)}

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Bits per byte, accuracy, loss."""
        found = super().results(dict(sums))
        return {**found, BITS: sums[f"{BITS}_sum"] / max(sums.get("labelled", sums["count"]), 1e-12)}
