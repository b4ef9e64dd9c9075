"""Spikes, and what stands for their derivative in the backward pass.

A neuron spikes where its potential is above the threshold: s = 1 where u = v - v_threshold > 0, else 0. That step has no
derivative to learn from, so gradients go through h'(u) in its place (Neftci, Mostafa and Zenke, "Surrogate gradient learning in
spiking neural networks", IEEE Signal Processing Magazine 2019), with k the slope:

    fast_sigmoid   1 / (1 + k |u|)^2                  k = 25   (Zenke and Ganguli 2018; snnTorch's slope)
    superspike     1 / (1 + k |u|)^2                  k = 100  (the same function, by the name and slope that Norse has it)
    arctan         (k / 2) / (1 + (pi k u / 2)^2)     k = 2    (Fang et al. 2021)
    triangular     max(0, 1 - k |u|)                  k = 1    (Bellec et al. 2018, without their damping)

The forward pass is exact: nothing but 0 and 1 comes out of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from edgebll.kernel.errors import ConfigError


def _fast_sigmoid(u: Tensor, slope: float) -> Tensor:
    return (1.0 + slope * u.abs()).square().reciprocal()


def _arctan(u: Tensor, slope: float) -> Tensor:
    return (0.5 * slope) / (1.0 + (0.5 * math.pi * slope * u).square())


def _triangular(u: Tensor, slope: float) -> Tensor:
    return (1.0 - slope * u.abs()).clamp(min=0.0)


#: Name -> h'(u) of u and the slope.
SURROGATES: dict[str, Callable[[Tensor, float], Tensor]] = {
    "fast_sigmoid": _fast_sigmoid,
    "superspike": _fast_sigmoid,
    "arctan": _arctan,
    "triangular": _triangular,
}
#: Name -> the slope that it is known with.
SLOPES = {"fast_sigmoid": 25.0, "superspike": 100.0, "arctan": 2.0, "triangular": 1.0}


@dataclass(frozen=True)
class Surrogate:
    """A derivative that stands for that of a spike.

    Attributes:
        name: one of SURROGATES.
        slope: k, above 0; by default, 0, that of SLOPES.

    Raises:
        ConfigError: there is no surrogate of that name, or the slope is negative.
    """

    name: str = "fast_sigmoid"
    slope: float = 0.0

    def __post_init__(self) -> None:
        if self.name not in SURROGATES:
            raise ConfigError(f"a surrogate gradient is one of {', '.join(SURROGATES)}, not {self.name!r}")
        if not self.slope >= 0:
            raise ConfigError(f"the slope of a surrogate gradient must be above 0, or 0 for the usual one, not {self.slope}")

    def derivative(self, u: Tensor) -> Tensor:
        """h'(u), of u's shape."""
        return SURROGATES[self.name](u, self.slope or SLOPES[self.name])


def spike(u: Tensor, surrogate: Surrogate) -> Tensor:
    """1.0 where u > 0, else 0.0, of u's shape and dtype; gradients are multiplied by the surrogate.

    Args:
        u: the potential less the threshold.
        surrogate: the derivative.

    Examples:
        >>> import torch
        >>> from edgebll.learning.networks.spiking.surrogates import Surrogate, spike
        >>> spike(torch.tensor([-0.5, 0.0, 0.5]), Surrogate("arctan"))
        tensor([0., 0., 1.])
    """
    spikes: Tensor = _Spike.apply(u, surrogate)  # type: ignore[no-untyped-call]
    return spikes


class _Spike(torch.autograd.Function):
    """The step function with another derivative; `setup_context` apart, so that torch.func's transforms take it too."""

    generate_vmap_rule = True

    @staticmethod
    def forward(u: Tensor, surrogate: Surrogate) -> Tensor:
        return (u > 0).to(u.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Surrogate], output: Tensor) -> None:
        u, ctx.surrogate = inputs
        ctx.save_for_backward(u)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None]:
        (u,) = ctx.saved_tensors
        return error * ctx.surrogate.derivative(u), None
