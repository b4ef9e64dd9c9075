"""What a module's forward pass costs: multiply-accumulates of its products and convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from edgebll.learning.modules.module_record import untouched


def macs_of(module: nn.Module, x: Tensor, *others: Tensor) -> tuple[int, Tensor]:
    """Multiply-accumulates of a module, a sample, and what it gives for a batch, in evaluation mode; it is not changed.

    Args:
        module: it.
        x: the batch (B, ...).
        others: what it takes besides.
    """
    with untouched(module), torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()
        result: Tensor = module(x, *others)
    return counter.get_total_flops() // (2 * len(x)), result
