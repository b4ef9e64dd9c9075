"""Local losses at every time step, through a readout of each layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edgebll.learning.objective import BlockPlace, Head, Objective, Tensors, mean_over
from edgebll.learning.online.firing_rates import rate_loss
from edgebll.learning.online.passing import Judged
from edgebll.learning.online.traces import attached


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
            self.readouts.append(nn.Parameter(_drawn(num_classes, count), requires_grad=False))

    def forward(self, *spikes: Tensor) -> tuple[Tensor, ...]:
        """Scores (B, N, C) of each of the last layers' spikes (B, N, ...)."""
        last = list(self.readouts)[len(self.readouts) - len(spikes) :]
        return tuple(s.flatten(2) @ readout.t() for s, readout in zip(spikes, last, strict=True))


class TrainedReadouts(nn.Module):
    """A linear readout of each layer that spikes, which learns: scores = W s + b.

    W (C, F) starts uniform in +-1/sqrt(F), b (C) at 0. What the layer learns from comes back through W, or through a matrix
    B (C, F) drawn alike, which nothing changes.

    Args:
        features: F of each layer.
        num_classes: C.
        symmetric: whether through W.
    """

    def __init__(self, features: Sequence[int], num_classes: int, *, symmetric: bool) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.weights, self.biases, self.feedback = nn.ParameterList(), nn.ParameterList(), nn.ParameterList()
        for count in features:
            self.weights.append(nn.Parameter(_drawn(num_classes, count)))
            self.biases.append(nn.Parameter(torch.zeros(num_classes)))
            if not symmetric:
                self.feedback.append(nn.Parameter(_drawn(num_classes, count), requires_grad=False))

    def forward(self, *spikes: Tensor) -> tuple[Tensor, ...]:
        """Scores (B, N, C) of each of the last layers' spikes (B, N, ...)."""
        first = len(self.weights) - len(spikes)
        return tuple(self._scores(first + place, s.flatten(2)) for place, s in enumerate(spikes))

    def _scores(self, index: int, spikes: Tensor) -> Tensor:
        weight, bias = self.weights[index], self.biases[index]
        scores: Tensor = (spikes if self.symmetric else spikes.detach()) @ weight.t() + bias
        return scores if self.symmetric else scores + attached(torch.zeros_like(scores), spikes @ self.feedback[index].t())


def _drawn(num_classes: int, count: int) -> Tensor:
    bound = 1 / math.sqrt(count)
    return torch.empty(num_classes, count).uniform_(-bound, bound)


@dataclass(frozen=True)
class EveryStep(Objective):
    """L = the sum over layers of the mean over time steps of the task's loss of the layer's readout, and of two penalties.

    With U the potentials of a layer less their threshold, they are those of DECOLLE's paper:

        lambda1 mean_i [U_i + 0.01]+       few neurons near their threshold
        lambda2 [0.1 - mean_i U_i]+        and yet some

    Firing rates are kept near f_target as in e-prop's (`edgebll.learning.online.firing_rates`).

    Attributes:
        place: where the block stands.
        make_head: builds the readouts of the layers that spike.
        reads_out: whether potentials of a last layer are read as they are: the network's own readout.
        label_smoothing: of the rule.
        weight: of each sample, see `weighted`.
        lambda1: weight of the first penalty.
        lambda2: of the second.
        c_reg: weight of the loss of firing rates.
        f_target: the rate it wants, in spikes a time step.
    """

    place: BlockPlace
    make_head: Callable[[], nn.Module]
    reads_out: bool
    label_smoothing: float = 0.0
    weight: Tensor | None = None
    lambda1: float = 0.0
    lambda2: float = 0.0
    c_reg: float = 0.0
    f_target: float = 0.0

    def head(self) -> nn.Module:
        """The layers' readouts."""
        return self.make_head()

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """The mean over time of what the last readout gives."""
        (scores,) = head(a)
        mean: Tensor = scores.mean(1)
        return mean

    def weighted(self, weight: Tensor) -> Objective:
        """The same losses with these weights."""
        return replace(self, weight=weight)

    def loss(self, head: Head, feedback: Tensors, a: Sequence[Judged], y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:  # type: ignore[override]
        """The sum over layers; a is what comes out of each."""
        given = [seen.out for seen in a]
        spikes, own = (given[:-1], given[-1:]) if self.reads_out else (given, [])
        losses = [self._over_time(scores, y) for scores in (*(head(*spikes) if spikes else ()), *own)]
        losses += [self._penalty(seen.potential) for seen in a if seen.potential is not None]
        losses += [rate_loss(seen.rates, self.c_reg, self.f_target, self.weight) for seen in a if seen.rates is not None]
        return torch.stack(losses).sum(), {}

    def _penalty(self, potential: Tensor) -> Tensor:
        """The two penalties of a layer's potentials (B, N, ...)."""
        u = potential.flatten(2)
        high, low = (u + 0.01).clamp(min=0.0).mean(2), (0.1 - u.mean(2)).clamp(min=0.0)
        return mean_over((self.lambda1 * high + self.lambda2 * low).mean(1), self.weight)

    def _over_time(self, scores: Tensor, y: Tensor) -> Tensor:
        """The mean loss of scores (B, N, C) for one target a sample."""
        steps = scores.shape[1]
        targets = y.unsqueeze(1).expand(-1, steps, *y.shape[1:]).flatten(0, 1)
        weight = None if self.weight is None else self.weight.unsqueeze(1).expand(-1, steps).flatten()
        return self.place.loss(scores.flatten(0, 1), targets, self.label_smoothing, weight)
