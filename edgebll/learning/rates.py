"""Which view of a spiking block's output a local loss has: its firing rates.

A block output (B, T, ...) over T time steps becomes its mean (B, ...), the share of the steps in which each neuron spiked. So
heads, feedback and every term of a rule that know features, maps or volumes train spiking blocks too. Gradients reach each
time step alike, unless the rule weighs them (`Rule.time_weights`): with falling weights a rate is what a trace of the spikes,
filtered by an exponential, has left at the end.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from edgebll.learning.objective import BlockPlace, Objective, Tensors
from edgebll.learning.reshaped import Reshaped


class RateReadout(Reshaped):
    """An objective of rates, of a block whose output has an axis of time.

    Args:
        inner: the objective of rates.
        first: whether the block is the network's first one, whose input are samples; that of others has an axis of time.
        weights: of the T time steps of its output; empty for the mean.
    """

    def __init__(self, inner: Objective, first: bool, weights: tuple[float, ...] = ()) -> None:
        super().__init__(inner)
        self.first, self.weights = first, weights

    def output(self, a: Tensor) -> Tensor:
        """(B, T, ...) to (B, ...)."""
        if not self.weights:
            return a.mean(1)
        weights = torch.tensor(self.weights, dtype=a.dtype, device=a.device)
        return (a * weights.reshape(-1, *[1] * (a.dim() - 2))).sum(1)

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The objective of one step; of the input x, too, it sees the mean over time, but samples as they are."""
        return super().given(received, x if self.first else x.mean(1))

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """As the inner objective has it, of what `given` shows of the input x."""
        return super().outgoing(feedback, x if self.first else x.mean(1))


def at_rates(place: BlockPlace) -> BlockPlace:
    """A place as an objective of rates sees it: no shape of a block's or a later unit's output has time."""
    shapes = (*place.shapes[:1], *(shape[1:] for shape in place.shapes[1:-1]), *place.shapes[-1:])
    later = tuple(replace(unit, output_shape=unit.output_shape[1:]) for unit in place.later_units)
    return replace(
        place, output_shape=place.output_shape[1:], later_units=later, shapes=shapes, time_steps=0, rate_over=place.time_steps
    )
