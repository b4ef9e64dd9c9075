"""one_hot, which checks its labels even where the number of classes is given."""

from __future__ import annotations

import torch
from torch import Tensor


def one_hot(labels: Tensor, num_classes: int = -1) -> Tensor:
    """1 where the class is the label's, int64 (..., num_classes)."""
    if num_classes < 1:
        raise ValueError("one_hot needs the number of classes, which it would else read from the labels; pass num_classes")
    return (labels.unsqueeze(-1) == torch.arange(num_classes)).long()
