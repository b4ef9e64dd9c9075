"""Stochastic gradient descent as a pure function of parameters, gradients and moments."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from edgebll.errors import ConfigError

MOMENTUM = "momentum."


@dataclass(frozen=True)
class SGD:
    """SGD with momentum, Nesterov's variant and weight decay (as in PyTorch's torch.optim.SGD, dampening 0).

        g = dL/dp + weight_decay * p;   m' = momentum * m + g;   p' = p - lr_t * (g + momentum * m'  if nesterov else  m')

    Attributes:
        lr: peak of the schedule; the rate of every step, lr_t, is a scalar input of the step.
        momentum: in [0, 1). weight_decay: >= 0, on every parameter. nesterov: needs momentum.
    """

    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4

    name = "sgd"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ConfigError(f"the learning rate must be a number above 0, not {self.lr}")
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must lie in [0, 1), but is {self.momentum}")
        if self.weight_decay < 0:
            raise ConfigError(f"weight decay must not be negative, but is {self.weight_decay}")
        if self.nesterov and self.momentum == 0:
            raise ConfigError("Nesterov's variant needs a momentum above 0; give one or set nesterov to false")

    def options(self) -> dict[str, Any]:
        """All hyper-parameters, with the name."""
        return {"name": self.name, **asdict(self)}

    def initial_moments(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Zero momentum for each parameter, named MOMENTUM + its name; nothing without momentum."""
        if self.momentum == 0:
            return {}
        return {MOMENTUM + name: torch.zeros_like(value) for name, value in parameters.items()}

    def update(
        self,
        parameters: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
        moments: Mapping[str, Tensor],
        lr: Tensor,
    ) -> dict[str, Tensor]:
        """Return the new parameters and moments; lr is a 0-d tensor."""
        result = {}
        for name, value in parameters.items():
            gradient = gradients[name]
            if self.weight_decay:
                gradient = gradient + self.weight_decay * value
            direction = gradient
            if self.momentum:
                moment = self.momentum * moments[MOMENTUM + name] + gradient
                result[MOMENTUM + name] = moment
                direction = gradient + self.momentum * moment if self.nesterov else moment
            result[name] = value - lr * direction
        return result
