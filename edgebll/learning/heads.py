"""The predictive head: a linear classifier on the pooled block output."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from edgebll.learning.rule import Tensors

WEIGHT, BIAS = "head.weight", "head.bias"


@dataclass(frozen=True)
class PredictiveHead:
    """logits = W flatten(pool(a)) + b, with average pooling to at most `size` x `size` (Nokland and Eidnes 2019, L_pred).

    Attributes:
        output_shape: shape of one sample of a: (F,), (F, L) or (F, H, W). num_classes: C. size: cells a side; 1 is global.
    """

    output_shape: tuple[int, ...]
    num_classes: int
    size: int = 3

    @property
    def cells(self) -> tuple[int, ...]:
        """Pooled spatial shape."""
        return tuple(min(self.size, extent) for extent in self.output_shape[1:])

    def parameters(self, generator: torch.Generator) -> dict[str, Tensor]:
        """W (C, F * cells) and b (C), uniform in +-1/sqrt(fan in)."""
        fan_in = self.output_shape[0] * math.prod(self.cells)
        bound = 1 / math.sqrt(fan_in)
        weight = torch.empty(self.num_classes, fan_in).uniform_(-bound, bound, generator=generator)
        return {WEIGHT: weight, BIAS: torch.zeros(self.num_classes)}

    def logits(self, parameters: Tensors, a: Tensor) -> Tensor:
        """Class scores (B, C) of the block output a (B, *output_shape)."""
        if len(self.cells) == 2 and self.cells != tuple(a.shape[2:]):
            a = F.adaptive_avg_pool2d(a, self.cells)
        elif len(self.cells) == 1 and self.cells != tuple(a.shape[2:]):
            a = F.adaptive_avg_pool1d(a, self.cells[0])
        return F.linear(a.flatten(1), parameters[WEIGHT], parameters[BIAS])
