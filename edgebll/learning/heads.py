"""Auxiliary networks: classifiers on a block's output that are trained with the block and never exported for inference."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PredictiveHead(nn.Module):
    """logits = W flatten(pool(a)) + b, with average pooling to at most `size` x `size` (Nokland and Eidnes 2019, L_pred).

    W (C, F * cells) starts uniform in +-1/sqrt(fan in), b (C) at zero.

    Args:
        output_shape: shape of one sample of a: (F,), (F, L) or (F, H, W). num_classes: C. size: cells a side; 1 is global.
    """

    def __init__(self, output_shape: tuple[int, ...], num_classes: int, size: int = 3) -> None:
        super().__init__()
        self.cells = tuple(min(size, extent) for extent in output_shape[1:])
        fan_in = output_shape[0] * math.prod(self.cells)
        bound = 1 / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.empty(num_classes, fan_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, a: Tensor) -> Tensor:
        """Class scores (B, C) of the block output a (B, *output_shape)."""
        return F.linear(average_cells(a, self.cells).flatten(1), self.weight, self.bias)


def average_cells(a: Tensor, cells: tuple[int, ...]) -> Tensor:
    """a (B, F, ...) averaged to (B, F, *cells), 0 to 2 axes in space."""
    if tuple(a.shape[2:]) == cells:
        return a
    return F.adaptive_avg_pool1d(a, cells[0]) if len(cells) == 1 else F.adaptive_avg_pool2d(a, (cells[0], cells[1]))
