"""Adam and AdamW."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning.optimizers.arithmetic import Arithmetic, arithmetic
from edgebll.learning.optimizers.optimizer import Optimizer, Tensors, check_not_negative

MEAN, SQUARE = "moment1.", "moment2."
#: How much of MEAN and SQUARE has been filled: 1 - beta^t after t steps, one 0-d tensor each for the whole block.
MEAN_WEIGHT, SQUARE_WEIGHT = "moment1", "moment2"


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam (Kingma and Ba 2015), as in PyTorch's torch.optim.Adam; weight decay is added to the gradient.

        g = dL/dp + weight_decay * p;   m' = beta1 m + (1 - beta1) g;   v' = beta2 v + (1 - beta2) g^2
        p' = p - lr_t * (m' / (1 - beta1^t)) / (sqrt(v' / (1 - beta2^t)) + epsilon)

    There is no counter of steps: 1 - beta^t is the moving average of ones, so it is state that moves as m and v do, exact in
    the first steps, where it is smallest. Averages move as m + (1 - beta) (g - m), whose fixed point does not depend on how
    beta is rounded; in float32 they stop within ulp / (1 - beta) of it, 3e-5 for beta2 = 0.999, in PyTorch as here.

    Attributes:
        beta1: how much of the gradients' average stays at a step, in [0, 1).
        beta2: how much of the squared gradients' average stays at a step, in [0, 1).
        epsilon: > 0.
        weight_decay: >= 0, on every parameter.

    Examples:
        >>> from edgebll.learning import Adam
        >>> Adam(lr=0.01, clip_norm=1.0).options()["beta2"]
        0.999
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    name: ClassVar[str] = "adam"
    exact_moments: ClassVar[tuple[str, ...]] = (SQUARE,)

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("beta1", "beta2"):
            if not 0 <= getattr(self, option) < 1:
                raise ConfigError(f"{option} must lie in [0, 1), but is {getattr(self, option)}")
        if not 0 < self.epsilon < 1:
            raise ConfigError(f"epsilon must lie between 0 and 1, but is {self.epsilon}")
        check_not_negative("weight decay", self.weight_decay)

    def initial_moments(self, parameters: Tensors) -> dict[str, Tensor]:
        """Zeros: both averages of each parameter, and the two 0-d weights."""
        moments = {MEAN + name: torch.zeros_like(value) for name, value in parameters.items()}
        moments |= {SQUARE + name: torch.zeros_like(value) for name, value in parameters.items()}
        zero = next(iter(parameters.values()), torch.zeros(())).new_zeros(())
        return {**moments, MEAN_WEIGHT: zero, SQUARE_WEIGHT: zero.clone()}

    def descend(self, parameters: Tensors, gradients: Tensors, moments: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """One step; see the class. Both bias corrections act on 0-d tensors, so an element costs one root and one division."""
        rate1, rate2 = 1.0 - self.beta1, 1.0 - self.beta2
        weight1 = moments[MEAN_WEIGHT] + rate1 * (1.0 - moments[MEAN_WEIGHT])
        weight2 = moments[SQUARE_WEIGHT] + rate2 * (1.0 - moments[SQUARE_WEIGHT])
        root = weight2.sqrt()
        size, epsilon = lr * root / weight1, self.epsilon * root
        result = {MEAN_WEIGHT: weight1, SQUARE_WEIGHT: weight2}
        how = arithmetic()
        for name, value in parameters.items():
            gradient = self.decayed_gradient(gradients[name], value)
            mean = result[MEAN + name] = _towards(moments[MEAN + name], gradient, rate1, how)
            square = result[SQUARE + name] = _towards(moments[SQUARE + name], gradient * gradient, rate2, how)
            deviation = square.sqrt()
            step = size * (mean / how.total(deviation, epsilon, deviation))
            result[name] = how.difference(self.decayed_value(value, lr), step)
        return result

    def decayed_gradient(self, gradient: Tensor, value: Tensor) -> Tensor:
        """The gradient with the weight decay that passes through the moments."""
        return gradient + self.weight_decay * value if self.weight_decay else gradient

    def decayed_value(self, value: Tensor, lr: Tensor) -> Tensor:
        """The parameter with the weight decay that bypasses the moments."""
        return value


def _towards(average: Tensor, value: Tensor, rate: float, how: Arithmetic) -> Tensor:
    """A moving average, moved towards a value."""
    change = how.scaled(rate, value - average)
    return how.total(average, change, change)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019; torch.optim.AdamW): p shrinks by lr_t weight_decay p.

    Attributes:
        lr: peak learning rate, > 0.
        beta1: how much of the gradients' average stays at a step, in [0, 1); default 0.9.
        beta2: how much of the squared gradients' average stays at a step, in [0, 1); default 0.999.
        epsilon: > 0.
        weight_decay: >= 0, on every parameter.

    Examples:
        >>> import edgebll
        >>> edgebll.AdamW(lr=0.01).options()["weight_decay"]
        0.01
    """

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"

    def decayed_gradient(self, gradient: Tensor, value: Tensor) -> Tensor:
        """The gradient as it is."""
        return gradient

    def decayed_value(self, value: Tensor, lr: Tensor) -> Tensor:
        """(1 - lr_t weight_decay) p."""
        return value * (1.0 - self.weight_decay * lr) if self.weight_decay else value
