"""Integrate-and-fire neurons, with and without a leak.

    IF     dv/dt = r i                            v = v + r i
    LIF    tau dv/dt = (v_leak - v) + r i         v = v + dt / tau (v_leak + r i - v)

on the left NIR's equations, on the right a step of forward Euler; then compare and reset, as `neuron` says. Of IF the currents
are spikes of unit area, 1 / dt high for a step, as all simulators that read NIR have it: so dt drops out.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from edgebll.learning.networks.spiking.neuron import DT, VALUE, SpikingNeuron, State, Value
from edgebll.learning.networks.spiking.values import driven


class IF(SpikingNeuron):
    """Integrate-and-fire.

    Args:
        r: resistance: by how much a current of 1 raises the potential in a step.
        v_threshold: above which it spikes.
        v_reset: after a spike, with the reset "value".
        dt: seconds of a step.
        reset: "value" or "subtract".
        refractory: steps after a spike without one.
        surrogate: name of the surrogate gradient.
        slope: of the surrogate; 0 for its usual one.
        trainable: names of the values that are trained.

    Examples:
        >>> import torch
        >>> from edgebll.learning.networks.spiking.lif import IF
        >>> IF()(torch.full((1, 5, 1), 0.4)).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0]
    """

    def __init__(
        self,
        r: Value = 1.0,
        v_threshold: Value = 1.0,
        v_reset: Value = 0.0,
        *,
        dt: float = DT,
        reset: str = VALUE,
        refractory: int = 0,
        surrogate: str = "fast_sigmoid",
        slope: float = 0.0,
        trainable: Sequence[str] = (),
    ) -> None:
        values = {"r": r, "v_threshold": v_threshold, "v_reset": v_reset}
        super().__init__(values, trainable, dt, reset, refractory, surrogate, slope)

    def integrate(self, state: State, current: Tensor) -> tuple[State, Tensor, float | Tensor]:
        """Nothing, v + r i, the threshold."""
        return {}, state["v"] + driven(current, self.own("r"), 0.0), self.own("v_threshold")


class LIF(SpikingNeuron):
    """Leaky integrate-and-fire.

    Args:
        tau: time constant in seconds.
        r: resistance.
        v_leak: potential at rest.
        v_threshold: above which it spikes.
        v_reset: after a spike, with the reset "value".
        dt: seconds of a step.
        reset: "value" or "subtract".
        refractory: steps after a spike without one.
        surrogate: name of the surrogate gradient.
        slope: of the surrogate; 0 for its usual one.
        trainable: names of the values that are trained.

    Examples:
        >>> import torch
        >>> from edgebll.learning.networks.spiking.lif import LIF
        >>> LIF(tau=2e-3)(torch.full((1, 6, 1), 1.2)).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0]
    """

    def __init__(
        self,
        tau: Value = 2e-3,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        v_threshold: Value = 1.0,
        v_reset: Value = 0.0,
        *,
        dt: float = DT,
        reset: str = VALUE,
        refractory: int = 0,
        surrogate: str = "fast_sigmoid",
        slope: float = 0.0,
        trainable: Sequence[str] = (),
    ) -> None:
        values = {"tau": tau, "r": r, "v_leak": v_leak, "v_threshold": v_threshold, "v_reset": v_reset}
        super().__init__(values, trainable, dt, reset, refractory, surrogate, slope)

    def integrate(self, state: State, current: Tensor) -> tuple[State, Tensor, float | Tensor]:
        """Nothing, v on its way to v_leak + r i, the threshold."""
        v = state["v"]
        drive = driven(current, self.own("r"), self.own("v_leak"))
        return {}, v + self.rate_of("tau") * (drive - v), self.own("v_threshold")
