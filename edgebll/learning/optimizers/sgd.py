"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning.optimizers.arithmetic import Arithmetic, arithmetic
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
        result, how = {}, arithmetic()
        for name, value in parameters.items():
            moment = moments[MOMENTUM + name] if self.momentum else None
            result[name], moment = self._moved(value, gradients[name], moment, lr, how)
            if moment is not None:
                result[MOMENTUM + name] = moment
        return result

    def _moved(
        self, value: Tensor, gradient: Tensor, moment: Tensor | None, lr: Tensor, how: Arithmetic
    ) -> tuple[Tensor, Tensor | None]:
        """New value and moment of one parameter; a function, so that its temporaries are free for the next."""
        if self.weight_decay:
            decay = how.scaled(self.weight_decay, value)
            gradient = how.total(gradient, decay, decay)
        direction = gradient
        if moment is not None:
            kept = how.scaled(self.momentum, moment)
            direction = moment = how.total(kept, gradient, kept)
            if self.nesterov:
                ahead = how.scaled(self.momentum, moment)
                direction = how.total(gradient, ahead, ahead)
        return how.difference(value, lr * direction), moment
