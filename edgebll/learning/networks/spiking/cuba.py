"""Current-based neurons: a synapse filters what comes in before the membrane integrates it.

    tau_syn di/dt = -i + w_in s                   i = i + dt / tau_syn (w_in s - i)
    tau_mem dv/dt = (v_leak - v) + r i            v = v + dt / tau_mem (v_leak + r i - v), with the new i

on the left NIR's equations, on the right a step of forward Euler. CubaLIF spikes then, as `neuron` says; CubaLI gives v.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from edgebll.learning.networks.spiking.neuron import DT, VALUE, Neuron, SpikingNeuron, State, Value
from edgebll.learning.networks.spiking.values import driven


class CubaLIF(SpikingNeuron):
    """Current-based leaky integrate-and-fire.

    Args:
        tau_syn: time constant of the synapse in seconds.
        tau_mem: time constant of the membrane in seconds.
        r: resistance.
        v_leak: potential at rest.
        v_threshold: above which it spikes.
        v_reset: after a spike, with the reset "value".
        w_in: weight of what comes in.
        dt: seconds of a step.
        reset: "value" or "subtract".
        refractory: steps after a spike without one.
        surrogate: name of the surrogate gradient.
        slope: of the surrogate; 0 for its usual one.
        trainable: names of the values that are trained.

    Examples:
        >>> import torch
        >>> from edgebll.learning.networks.spiking.cuba import CubaLIF
        >>> CubaLIF()(torch.full((1, 6, 1), 1.5)).flatten().tolist()
        [0.0, 0.0, 1.0, 0.0, 1.0, 0.0]
    """

    states = ("v", "i")

    def __init__(
        self,
        tau_syn: Value = 2e-3,
        tau_mem: Value = 2e-3,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        v_threshold: Value = 1.0,
        v_reset: Value = 0.0,
        w_in: Value = 1.0,
        *,
        dt: float = DT,
        reset: str = VALUE,
        refractory: int = 0,
        surrogate: str = "fast_sigmoid",
        slope: float = 0.0,
        trainable: Sequence[str] = (),
    ) -> None:
        values = _values(tau_syn, tau_mem, r, v_leak, w_in) | {"v_threshold": v_threshold, "v_reset": v_reset}
        super().__init__(values, trainable, dt, reset, refractory, surrogate, slope)

    def integrate(self, state: State, current: Tensor) -> tuple[State, Tensor, float | Tensor]:
        """The filtered current, v on its way to v_leak + r i, the threshold."""
        i, v = integrated(self, state, current)
        return {"i": i}, v, self.own("v_threshold")


class CubaLI(Neuron):
    """Current-based leaky integrator: it gives its potential.

    Args:
        tau_syn: time constant of the synapse in seconds.
        tau_mem: time constant of the membrane in seconds.
        r: resistance.
        v_leak: potential at rest.
        w_in: weight of what comes in.
        dt: seconds of a step.
        trainable: names of the values that are trained.
    """

    states = ("v", "i")

    def __init__(
        self,
        tau_syn: Value = 2e-3,
        tau_mem: Value = 2e-3,
        r: Value = 1.0,
        v_leak: Value = 0.0,
        w_in: Value = 1.0,
        *,
        dt: float = DT,
        trainable: Sequence[str] = (),
    ) -> None:
        super().__init__(_values(tau_syn, tau_mem, r, v_leak, w_in), trainable, dt)

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """Filter, integrate; the potential comes out."""
        i, v = integrated(self, state, current)
        return {"v": v, "i": i}, v


def integrated(neuron: CubaLIF | CubaLI, state: State, current: Tensor) -> tuple[Tensor, Tensor]:
    """The next synaptic current and potential (B, ...), before any comparison."""
    i, v = state["i"], state["v"]
    i = i + neuron.rate_of("tau_syn") * (driven(current, neuron.own("w_in"), 0.0) - i)
    drive = driven(i, neuron.own("r"), neuron.own("v_leak"))
    return i, v + neuron.rate_of("tau_mem") * (drive - v)


def _values(tau_syn: Value, tau_mem: Value, r: Value, v_leak: Value, w_in: Value) -> dict[str, Value]:
    return {"tau_syn": tau_syn, "tau_mem": tau_mem, "r": r, "v_leak": v_leak, "w_in": w_in}
