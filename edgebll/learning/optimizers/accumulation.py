"""Gradients of several batches gathered before the weights move once, as a PyTorch loop does that steps after every few.

An optimiser that accumulates keeps one sum for each trained tensor and a count of batches. Its update is computed at every step
and taken at every N-th, for a graph has no branches: the other results are left out by a condition of one element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Tensors = Mapping[str, Tensor]
#: Sums of gradients since the last update, one for each parameter; and how many steps they are of, 0-d.
SUM, COUNT = "accumulated.", "accumulated"
#: Most steps of an update; counts are exact in float32 far beyond.
MOST = 65536


def empty_sums(parameters: Tensors) -> dict[str, Tensor]:
    """What is kept between steps, before the first: a zero for each element, and a count of 0."""
    count = next(iter(parameters.values()), torch.zeros(())).new_zeros(())
    return {**{SUM + name: torch.zeros_like(value) for name, value in parameters.items()}, COUNT: count}


def accumulated(every: int, descend: Callable[[Tensors], Tensors], gradients: Tensors, before: Tensors) -> dict[str, Tensor]:
    """One step: the gradients are added to the sums; at each `every`-th step the weights move along their mean.

    Args:
        every: steps of an update.
        descend: what an update along gradients makes of parameters and moments, by name.
        gradients: of this step, one for each parameter.
        before: parameters, moments and sums before the step.
    """
    count = before[COUNT] + 1
    full = count > every - 0.5  # between two counts, so that no rounding decides
    sums = {name: before[SUM + name] + gradient for name, gradient in gradients.items()}
    moved = descend({name: value / every for name, value in sums.items()})
    result = {name: torch.where(full, value, before[name]) for name, value in moved.items()}
    result |= {SUM + name: torch.where(full, torch.zeros_like(value), value) for name, value in sums.items()}
    return {**result, COUNT: torch.where(full, torch.zeros_like(count), count)}
