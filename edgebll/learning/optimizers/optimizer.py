"""What an optimiser is: a pure function of parameters, gradients and moments.

A new one is a frozen dataclass whose fields are its options; it says what its moments are before the first step and how a step
changes parameters and moments. It is named by where it is, FILE.py:NAME or MODULE:NAME, those of edgebll by
`edgebll.learning.OPTIMIZERS`; training, export and verification know it then.
Only tensor arithmetic may be used, no counters in Python: the very same code is traced into the step's graph.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import LEARNING_RATE, check_whole_options
from edgebll.learning.optimizers.accumulation import MOST, accumulated, empty_sums

Tensors = Mapping[str, Tensor]
#: Added to the norm before dividing by it, as torch.nn.utils.clip_grad_norm_ does.
_CLIP_EPSILON = 1e-6


@dataclass(frozen=True)
class Optimizer(ABC):
    """Base of all optimisers; a subclass's fields are its options.

    Attributes:
        lr: peak of the schedule; the rate of every step is a scalar input of the step.
        clip_norm: gradients of the block are scaled down together to this L2 norm where it is larger; 0 leaves them.
        accumulate: steps of an update, at least 1: it is taken along the mean of their gradients, which is what is clipped.
        name: as in OPTIMIZERS; by default the class's, in lower case.

    Raises:
        ConfigError: a value is out of range.
    """

    lr: float = 1e-3
    clip_norm: float = field(default=0.0, kw_only=True)
    accumulate: int = field(default=1, kw_only=True)

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "name"):
            cls.name = cls.__name__.lower()

    def __post_init__(self) -> None:
        check_whole_options(self.name, self)
        LEARNING_RATE.check("the learning rate", self.lr)
        check_not_negative("the norm to clip at", self.clip_norm)
        if not 1 <= self.accumulate <= MOST:
            raise ConfigError(f"accumulate must lie in 1..{MOST} steps of an update, but is {self.accumulate}")

    def options(self) -> dict[str, Any]:
        """All options, with the name; `accumulate` only where there is more than one step of an update."""
        told = {"name": self.name, **asdict(self)}
        return told if self.accumulate > 1 else {name: value for name, value in told.items() if name != "accumulate"}

    def initial_state(self, parameters: Tensors) -> dict[str, Tensor]:
        """All that `update` needs besides the parameters, before the first step: the moments and the sums of gradients."""
        sums = empty_sums(parameters) if self.accumulate > 1 else {}
        return {**self.initial_moments(parameters), **sums}

    @abstractmethod
    def initial_moments(self, parameters: Tensors) -> dict[str, Tensor]:
        """The moments before the first step; no name may start with "net.", "head.", "feedback." or "accumulated"."""

    @abstractmethod
    def descend(self, parameters: Tensors, gradients: Tensors, moments: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """New parameters and moments after one step along `gradients`, which are clipped already; lr is a 0-d tensor."""

    def update(self, parameters: Tensors, gradients: Tensors, moments: Tensors, lr: Tensor) -> dict[str, Tensor]:
        """Return the new parameters, moments and sums of gradients, all by name.

        Args:
            parameters: values before the step.
            gradients: one for each parameter, of its name and shape.
            moments: holds at least what `initial_state` named.
            lr: 0-d, the rate of this step.
        """

        def clipped(slopes: Tensors) -> dict[str, Tensor]:
            slopes = clip_by_norm(slopes, self.clip_norm) if self.clip_norm else slopes
            return self.descend(parameters, slopes, moments, lr)

        if self.accumulate == 1:
            return clipped(gradients)
        return accumulated(self.accumulate, clipped, gradients, {**moments, **parameters})


def clip_by_norm(gradients: Tensors, limit: float) -> dict[str, Tensor]:
    """Scale all gradients by min(1, limit / (||g|| + 1e-6)), ||g|| being the L2 norm of all of them together."""
    squares = [(gradient * gradient).sum() for gradient in gradients.values()]
    norm = torch.stack(squares).sum().sqrt()
    factor = (limit / (norm + _CLIP_EPSILON)).clamp(max=1.0)
    return {name: gradient * factor for name, gradient in gradients.items()}


def check_not_negative(what: str, value: float) -> None:
    """Raise ConfigError unless `value` is a number of 0 or more."""
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError(f"{what} must be a number of 0 or more, but is {value}")
