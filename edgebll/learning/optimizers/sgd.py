"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning.optimizers.optimizer import Optimizer, Tensors, check_not_negative

MOMENTUM = "momentum."


@dataclass(frozen=True)
class SGD(Optimizer):
    """SGD with momentum, Nesterov's variant and weight decay (as in PyTorch's torch.optim.SGD, dampening 0).

        g = dL/dp + weight_decay * p;   m' = momentum * m + g;   p' = p - lr_t * (g + momentum * m'  if nesterov else  m')

    Attributes:
        lr: peak learning rate, > 0.
        momentum: in [0, 1).
        nesterov: whether the step looks ahead along the momentum; needs momentum.
        weight_decay: >= 0, on every parameter.

    Examples:
        >>> import edgebll
        >>> edgebll.SGD(lr=0.1).options()["momentum"]
        0.9
    """

    lr: float = 0.05
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4

    name: ClassVar[str] = "sgd"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.momentum < 1:
            raise ConfigError(f"momentum must lie in [0, 1), but is {self.momentum}")
        check_not_negative("weight decay", self.weight_decay)
        if self.nesterov and self.momentum == 0:
            raise ConfigError("Nesterov's variant needs a momentum above 0; give one or set nesterov to false")

    def initial_moments(self, parameters: Tensors) -> dict[str, Tensor]:
        """Zero momentum for each parameter, named MOMENTUM + its name; nothing without momentum."""
        if self.momentum == 0:
            return {}
        return {MOMENTUM + name: torch.zeros_like(value) for name, value in parameters.items()}

    def descend(self, parameters: Tensors, gradients: Tensors, moments: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """One step; see the class."""
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
