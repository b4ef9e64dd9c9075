"""What an optimiser is: a pure function of parameters, gradients and moments.

A new one is a frozen dataclass whose fields are its options; it says what its moments are before the first step and how a step
changes parameters and moments. It is named by where it is, FILE.py:NAME or MODULE:NAME, those of edgebll by
`edgebll.learning.OPTIMIZERS`; training, export and verification know it then.
Only tensor arithmetic may be used, no counters in Python: the very same code is traced into the step's graph.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.short_state import STATE_BITS, UNIT
from edgebll.kernel.support.bounds import LEARNING_RATE, check_whole_options
from edgebll.learning.optimizers.accumulation import MOST, accumulated, empty_sums
from edgebll.learning.optimizers.rounded_state import StateRounding, check_bits

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
        state_bits: 32, or 16 or 8 for weights and moments of two or more axes that are rounded to so many bits with one unit a
            row at the end of each step, see `edgebll.learning.optimizers.rounded_state`.
        name: as in OPTIMIZERS; by default the class's, in lower case.

    Raises:
        ConfigError: a value is out of range.
    """

    lr: float = 1e-3
    clip_norm: float = field(default=0.0, kw_only=True)
    accumulate: int = field(default=1, kw_only=True)
    state_bits: int = field(default=32, kw_only=True)

    name: ClassVar[str]
    #: What the names of moments begin with that are never rounded.
    exact_moments: ClassVar[tuple[str, ...]] = ()

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
        check_bits(self.state_bits)

    def options(self) -> dict[str, Any]:
        """All options, with the name; `accumulate` and `state_bits` only where they are not the usual ones."""
        usual = {"accumulate": 1, STATE_BITS: 32}
        told = {"name": self.name, **asdict(self)}
        return {name: value for name, value in told.items() if name not in usual or value != usual[name]}

    def initial_state(self, parameters: Tensors) -> dict[str, Tensor]:
        """All that `update` needs besides the parameters, before the first step: the moments and the sums of gradients.

        Args:
            parameters: by name. Where the state is rounded, they are returned too, as they begin.
        """
        sums = empty_sums(parameters) if self.accumulate > 1 else {}
        return self.settled({**parameters, **self.initial_moments(parameters), **sums}, parameters)

    def settled(self, state: Tensors, parameters: Collection[str]) -> dict[str, Tensor]:
        """What is to be kept of a state, besides parameters that stay as they are: that which is rounded fits its units.

        Args:
            state: parameters, and what `update` needs besides.
            parameters: their names.
        """
        others = {name: value for name, value in state.items() if name not in parameters}
        if self.state_bits == 32:
            return others
        rounding = StateRounding(self.state_bits)
        chosen = {name: value for name, value in state.items() if self._is_rounded(name, value)}
        fresh = rounding.start(chosen)
        fits = [name for name in chosen if UNIT + name in state and rounding.holds(chosen[name], state[UNIT + name])]
        kept = {name: state[name] for fit in fits for name in (fit, UNIT + fit)}
        return {**others, **fresh, **kept, **rounding.amount(state)}

    def _is_rounded(self, name: str, value: Tensor) -> bool:
        return value.dim() > 1 and not name.startswith((UNIT, *self.exact_moments))

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
            new = clipped(gradients)
        else:
            new = accumulated(self.accumulate, clipped, gradients, {**moments, **parameters})
        return new if self.state_bits == 32 else StateRounding(self.state_bits).rounded({**moments, **parameters}, new)


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
