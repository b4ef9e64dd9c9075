"""The leaky integrator that reads spikes out, without any of its own.

    LI     tau dv/dt = (v_leak - v) + r i         v = v + dt / tau (v_leak + r i - v)

on the left NIR's equation, on the right a step of forward Euler; v is what comes out.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from edgebll.learning.networks.spiking.neuron import DT, Neuron, State, Value
from edgebll.learning.networks.spiking.values import driven


class LI(Neuron):
    """Leaky integrator.

    Args:
        tau: time constant in seconds.
        r: resistance.
        v_leak: potential at rest.
        dt: seconds of a step.
        trainable: names of the values that are trained.

    Examples:
        >>> import torch
        >>> from edgebll.learning.networks.spiking.readout import LI
        >>> LI(tau=2e-3)(torch.ones(1, 3, 1)).flatten().tolist()
        [0.5, 0.75, 0.875]
    """

    def __init__(
        self, tau: Value = 2e-3, r: Value = 1.0, v_leak: Value = 0.0, *, dt: float = DT, trainable: Sequence[str] = ()
    ) -> None:
        super().__init__({"tau": tau, "r": r, "v_leak": v_leak}, trainable, dt)

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """Integrate; the potential comes out."""
        v = state["v"]
        v = v + self.rate_of("tau") * (driven(current, self.own("r"), self.own("v_leak")) - v)
        return {"v": v}, v


class MeanOverTime(nn.Module):
    """The mean of all time steps: (B, T, ...) to (B, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, ...) to (B, ...)."""
        return x.mean(1)
