"""Firing rates of a layer's neurons since samples began, and the loss that keeps them near a target, as e-prop has it.

Bellec et al., Nature Communications 11:3625 (2020), with z the spikes, in spikes a time step:

    f_av_j = mean over the samples of a batch, and over time steps since they began, of z_j
    E_reg  = 1/2 c_reg sum_j (f_av_j - f_target)^2
    dE_reg / dW_ji = c_reg (f_av_j - f_target) mean over samples and time steps of e_ji,t

e is the eligibility trace itself, which no readout filters. Where samples are taken whole it is the loss's gradient; in chunks
f_av is that of all chunks so far, and the mean of e that of the chunk: spikes so far are counted, and carried on.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from edgebll.learning.objective import TINY
from edgebll.learning.online.traces import attached

#: Names of what a layer carries: spikes of each neuron, and time steps, since the sample began.
COUNTED, STEPS = "counted", "steps"


class Rates(NamedTuple):
    """What the loss sees of a layer.

    Attributes:
        spikes: of a chunk (B, N, ...), with the gradient of each time step behind them.
        average: spikes a time step since samples began (B, ...), without a gradient.
    """

    spikes: Tensor
    average: Tensor


def counts_at_rest(current: Tensor) -> dict[str, Tensor]:
    """Counts before the first step of a sample: zeros.

    Args:
        current: one that drives the neurons (B, ...).
    """
    return {COUNTED: torch.zeros_like(current), STEPS: current.new_zeros(())}


def counted(spikes: Tensor, carried: dict[str, Tensor] | None) -> tuple[Rates, dict[str, Tensor]]:
    """The rates after a chunk, and the counts that are carried on.

    Args:
        spikes: (B, N, ...).
        carried: counts before; None at the beginning of samples.
    """
    before = carried or counts_at_rest(spikes[:, 0])
    with torch.no_grad():
        after = {COUNTED: before[COUNTED] + spikes.sum(1), STEPS: before[STEPS] + float(spikes.shape[1])}
    return Rates(spikes, after[COUNTED] / after[STEPS]), after


def rate_loss(rates: Rates, c_reg: float, f_target: float, weight: Tensor | None) -> Tensor:
    """E_reg of a layer, 0-d.

    Args:
        rates: of its neurons.
        c_reg: the weight.
        f_target: spikes a time step.
        weight: of each sample (B,); None for 1 each.
    """
    now, average = (_over_samples(of, weight) for of in (rates.spikes.mean(1).flatten(1), rates.average.flatten(1)))
    off = attached(average, now) - f_target
    return 0.5 * c_reg * (off * off).sum()


def _over_samples(values: Tensor, weight: Tensor | None) -> Tensor:
    """The mean (F,) of values (B, F) by the weights of their samples."""
    if weight is None:
        return values.mean(0)
    return (values * weight.unsqueeze(1)).sum(0) / weight.sum().clamp(min=TINY)
