"""Local losses at every time step, through a readout of each layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edgebll.learning.objective import BlockPlace, Head, Objective, Tensors


class FixedReadouts(nn.Module):
    """A random linear readout of each layer that spikes, which nothing changes: scores = G s.

    G (C, F) is uniform in +-1/sqrt(F).

    Args:
        features: F of each layer.
        num_classes: C.
    """

    def __init__(self, features: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.readouts = nn.ParameterList()
        for count in features:
            bound = 1 / math.sqrt(count)
            self.readouts.append(nn.Parameter(torch.empty(num_classes, count).uniform_(-bound, bound), requires_grad=False))

    def forward(self, *spikes: Tensor) -> tuple[Tensor, ...]:
        """Scores (B, N, C) of each of the last layers' spikes (B, N, ...)."""
        last = list(self.readouts)[len(self.readouts) - len(spikes) :]
        return tuple(s.flatten(2) @ readout.t() for s, readout in zip(spikes, last, strict=True))


@dataclass(frozen=True)
class EveryStep(Objective):
    """L = the sum over layers of the mean over time steps of the task's loss of the layer's readout.

    Attributes:
        place: where the block stands.
        features: of each layer that spikes, in order.
        reads_out: whether potentials of a last layer are read as they are: the network's own readout.
        label_smoothing: of the rule.
        weight: of each sample, see `weighted`.
    """

    place: BlockPlace
    features: tuple[int, ...]
    reads_out: bool
    label_smoothing: float = 0.0
    weight: Tensor | None = None

    def head(self) -> nn.Module:
        """The layers' readouts."""
        return FixedReadouts(self.features, self.place.num_classes)

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """The mean over time of what the last readout gives."""
        (scores,) = head(a)
        mean: Tensor = scores.mean(1)
        return mean

    def weighted(self, weight: Tensor) -> Objective:
        """The same losses with these weights."""
        return replace(self, weight=weight)

    def loss(self, head: Head, feedback: Tensors, a: Sequence[Tensor], y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:  # type: ignore[override]
        """The sum over layers; a is what comes out of each."""
        spikes, own = (a[:-1], a[-1:]) if self.reads_out else (a, ())
        losses = [self._over_time(scores, y) for scores in (*(head(*spikes) if spikes else ()), *own)]
        return torch.stack(losses).sum(), {}

    def _over_time(self, scores: Tensor, y: Tensor) -> Tensor:
        """The mean loss of scores (B, N, C) for one target a sample."""
        steps = scores.shape[1]
        targets = y.unsqueeze(1).expand(-1, steps, *y.shape[1:]).flatten(0, 1)
        weight = None if self.weight is None else self.weight.unsqueeze(1).expand(-1, steps).flatten()
        return self.place.loss(scores.flatten(0, 1), targets, self.label_smoothing, weight)
