"""Leaky integrate-and-fire neurons whose threshold rises with their own spikes.

    tau dv/dt = (v_leak - v) + r i                v = v + dt / tau (v_leak + r i - v)
    tau_adapt db/dt = -b, and b = b + 1 at a spike

A spike falls where v > v_threshold + beta b, with the b of the step before; then b = b - dt / tau_adapt b + s. So it is the
model of Bellec et al. ("Long short-term memory and learning-to-learn in networks of spiking neurons", NeurIPS 2018; "A solution
to the learning dilemma for recurrent networks of spiking neurons", Nature Communications 2020), with forward Euler in place of
exponentials. Gradients go through b, whose slow trace is what such neurons remember with. NIR has no such neuron.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from edgebll.learning.networks.spiking.neuron import DT, VALUE, SpikingNeuron, State, Value
from edgebll.learning.networks.spiking.values import driven


class ALIF(SpikingNeuron):
    """Adaptive leaky integrate-and-fire.

    Args:
        tau: time constant of the membrane in seconds.
        tau_adapt: time constant of the adaptation in seconds.
        beta: by how much a spike raises the threshold.
        r: resistance.
        v_leak: potential at rest.
        v_threshold: above which it spikes where it has not spiked for long.
        v_reset: after a spike, with the reset "value".
        dt: seconds of a step.
        reset: "value" or "subtract" (the threshold as it was in the step).
        refractory: steps after a spike without one.
        surrogate: name of the surrogate gradient.
        slope: of the surrogate; 0 for its usual one.
        trainable: names of the values that are trained.

    Examples:
        >>> import torch
        >>> from edgebll.learning.networks.spiking.adaptive import ALIF
        >>> ALIF(beta=0.5)(torch.full((1, 8, 1), 2.5)).flatten().tolist()
        [1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """

    states = ("v", "b")
    hears_itself = True

    def __init__(
        self,
        tau: Value = 2e-3,
        tau_adapt: Value = 2e-2,
        beta: Value = 0.2,
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
        values = {
            **{"tau": tau, "tau_adapt": tau_adapt, "beta": beta, "r": r, "v_leak": v_leak},
            **{"v_threshold": v_threshold, "v_reset": v_reset},
        }
        super().__init__(values, trainable, dt, reset, refractory, surrogate, slope)

    def integrate(self, state: State, current: Tensor) -> tuple[State, Tensor, float | Tensor]:
        """The adaptation but for this step's spikes, v on its way to v_leak + r i, the raised threshold."""
        v, b = state["v"], state["b"]
        drive = driven(current, self.own("r"), self.own("v_leak"))
        threshold = self.own("v_threshold") + self.own("beta") * b
        return {"b": b - self.rate_of("tau_adapt") * b}, v + self.rate_of("tau") * (drive - v), threshold

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """Integrate, compare with the raised threshold, reset, adapt."""
        new, spikes = super().step(state, current)
        return {**new, "b": new["b"] + spikes}, spikes
