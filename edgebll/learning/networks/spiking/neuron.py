"""What all models of neurons have in common: values by NIR's names, a pure step, and its repetition over time.

A neuron's step takes its state and the current of one time step, and gives the next state and what comes out: nothing is kept
between calls. Over a sample's T steps it is repeated from the state of rest. One order holds for all models:

    integrate   the potential of the last step and the current of this one (forward Euler, as NIR's own reference)
    compare     s = 1 where v > v_threshold, else 0
    reset       of those that spiked: v = v_reset ("value", NIR's), or v = v - v_threshold ("subtract")

No gradient goes through the reset: it would fight the surrogate's (Zenke and Vogels, Neural Computation 2021, section 2.4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.spiking.surrogates import Surrogate, spike
from edgebll.learning.networks.spiking.values import finite, is_time, positive

#: Of a layer: name -> (B, ...). "v": potential, "i": synaptic current, "b": adaptation, "wait": refractory steps left.
State = dict[str, Tensor]
#: What a value may be given as: a number, or a tensor (or nested lists) that broadcasts to a sample.
Value = float | Tensor | Sequence[float]

VALUE, SUBTRACT = RESETS = ("value", "subtract")
#: Seconds of a step, unless told.
DT = 1e-3


class TimeStepped(Protocol):
    """What has a state and a step: neurons, alone or with connections among them."""

    def initial(self, current: Tensor) -> State:
        """The state of rest."""

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """One time step."""


def of_steps(x: Tensor) -> tuple[Tensor, ...]:
    """The currents (B, ...) of each step of samples (B, T, ...); in float32 where layers compute in half precision.

    A potential sums many small currents, of which half precision would lose the last ones.
    """
    return (x.float() if x.dtype in (torch.float16, torch.bfloat16) else x).unbind(1)


def unrolled(stepped: TimeStepped, x: Tensor) -> Tensor:
    """All steps of samples (B, T, ...) from the state of rest: what comes out of each, (B, T, ...)."""
    currents = of_steps(x)
    state, given = stepped.initial(currents[0]), []
    for current in currents:
        state, out = stepped.step(state, current)
        given.append(out)
    return torch.stack(given, 1)


class Neuron(nn.Module):
    """Base of all models; a subclass names its values and gives `step`.

    A number is kept as it is, as a constant of every graph; a tensor is a buffer; what is trained is a parameter. Time
    constants are trained as their logarithm, `log_tau` of `tau`, so that they stay positive; dt / tau is 1 at most then.

    Args:
        values: by NIR's names, in SI units.
        trainable: names of those that are trained.
        dt: seconds of a step.

    Attributes:
        states: names of the tensors of its state.

    Raises:
        ConfigError: a value that is no number, a time constant not above 0, or an unknown name.
    """

    states: tuple[str, ...] = ("v",)

    def __init__(self, values: dict[str, Value], trainable: Sequence[str] = (), dt: float = DT) -> None:
        super().__init__()
        self.names = tuple(values)
        self.dt = positive("dt", dt)
        unknown = [name for name in trainable if name not in values]
        if unknown:
            raise ConfigError(f"{type(self).__name__} has {', '.join(values)} to be trained, not {', '.join(unknown)}")
        for name, given in values.items():
            self._keep(name, given, name in trainable)

    def _keep(self, name: str, given: Value, trained: bool) -> None:
        if isinstance(given, int | float) and not trained:
            setattr(self, name, positive(name, float(given)) if is_time(name) else finite(name, float(given)))
            return
        value = torch.as_tensor(given, dtype=torch.float32).clone()
        if not torch.isfinite(value).all() or (is_time(name) and not (value > 0).all()):
            raise ConfigError(f"a neuron's {name} must be finite{', and above 0' if is_time(name) else ''}, but some are not")
        if not trained:
            self.register_buffer(name, value)
        elif is_time(name):
            self.register_parameter(f"log_{name}", nn.Parameter(value.log()))
        else:
            self.register_parameter(name, nn.Parameter(value))

    def value(self, name: str) -> Tensor:
        """One of the values in float32, of the shape that it was given in; 0-d of a number."""
        logarithm = getattr(self, f"log_{name}", None)
        found = getattr(self, name) if logarithm is None else logarithm.detach().exp()
        return torch.as_tensor(found, dtype=torch.float32).detach()

    def own(self, name: str) -> float | Tensor:
        """A value as a step computes with it: a number, or a tensor that gradients reach where it is trained."""
        found: float | Tensor = getattr(self, name)
        return found

    def rate_of(self, name: str) -> float | Tensor:
        """dt / tau, the part of the way to its goal that a step goes."""
        logarithm = getattr(self, f"log_{name}", None)
        if logarithm is not None:
            found: Tensor = (self.dt * (-logarithm).exp()).clamp(max=1.0)
            return found
        return self.dt / self.own(name)

    def initial(self, current: Tensor) -> State:
        """The state of rest: all zero, of a current's (B, ...) shape."""
        return {name: torch.zeros_like(current) for name in self.states}

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """One time step: the next state and what comes out, both (B, ...).

        Args:
            state: of `initial`, or of the step before.
            current: (B, ...), spikes or any numbers.
        """
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """All steps of samples (B, T, ...) from the state of rest: what comes out of each, (B, T, ...)."""
        return unrolled(self, x)


class SpikingNeuron(Neuron):
    """Base of the models that spike: threshold, reset and refractory period.

    Args:
        values: as of `Neuron`; with v_threshold and v_reset.
        trainable: as of `Neuron`.
        dt: seconds of a step.
        reset: "value" or "subtract".
        refractory: whole steps after a spike in which a neuron stays at its reset potential and cannot spike.
        surrogate: name of the surrogate gradient.
        slope: of the surrogate; 0 for its usual one.

    Attributes:
        hears_itself: whether its own spikes change more of its state than the potential that they reset.

    Raises:
        ConfigError: an unknown reset or surrogate, or a negative period.
    """

    hears_itself: bool = False

    def __init__(
        self,
        values: dict[str, Value],
        trainable: Sequence[str] = (),
        dt: float = DT,
        reset: str = VALUE,
        refractory: int = 0,
        surrogate: str = "fast_sigmoid",
        slope: float = 0.0,
    ) -> None:
        super().__init__(values, trainable, dt)
        if reset not in RESETS:
            raise ConfigError(f"a neuron's reset is one of {', '.join(RESETS)}, not {reset!r}")
        if isinstance(refractory, bool) or not isinstance(refractory, int) or refractory < 0:
            raise ConfigError(f"a refractory period is a whole number of steps, 0 for none, not {refractory!r}")
        self.reset, self.refractory = reset, refractory
        self.surrogate = Surrogate(surrogate, slope)
        if refractory:
            self.states = (*type(self).states, "wait")

    def integrate(self, state: State, current: Tensor) -> tuple[State, Tensor, float | Tensor]:
        """What a time step does before any comparison.

        Args:
            state: of the step before.
            current: (B, ...).

        Returns:
            What else of the next state is known by then, the potential (B, ...), and the threshold.
        """
        raise NotImplementedError

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """Integrate, compare, reset: the next state and the spikes."""
        rest, v, threshold = self.integrate(state, current)
        new, spikes = self.fire(state, v, threshold)
        return {**rest, **new}, spikes

    def forward(self, x: Tensor) -> Tensor:
        """All steps of samples (B, T, ...) from the state of rest: the spikes of each, (B, T, ...).

        Where gradients leave a step through its spikes alone, these and the surrogate are computed of all steps at once, which
        changes no bit and leaves two thirds of the operators of a graph.
        """
        if self.refractory or self.hears_itself:
            return unrolled(self, x)
        currents = of_steps(x)
        state, above = self.initial(currents[0]), []
        for current in currents:
            rest, v, threshold = self.integrate(state, current)
            above.append(v - threshold)
            state = {**rest, "v": self._settled(v, above[-1] > 0, threshold)}
        return spike(torch.stack(above, 1), self.surrogate)

    def fire(self, state: State, v: Tensor, threshold: float | Tensor) -> tuple[State, Tensor]:
        """Compare and reset.

        Args:
            state: of the step before.
            v: the integrated potential (B, ...).
            threshold: of this step.

        Returns:
            "v", and "wait" where there is a refractory period, after the step; and the spikes (B, ...).
        """
        if not self.refractory:
            u = v - threshold
            return {"v": self._settled(v, u > 0, threshold)}, spike(u, self.surrogate)
        ready = state["wait"] <= 0
        v = torch.where(ready, v, state["v"])
        u = v - threshold
        fired = (u > 0) & ready
        spikes = spike(u, self.surrogate) * ready.to(v.dtype)
        left = torch.where(fired, float(self.refractory), (state["wait"] - 1.0).clamp(min=0.0))
        return {"v": self._settled(v, fired, threshold), "wait": left}, spikes

    def _settled(self, v: Tensor, fired: Tensor, threshold: float | Tensor) -> Tensor:
        if self.reset == SUBTRACT:
            lower = threshold.detach() if isinstance(threshold, Tensor) else threshold
            return torch.where(fired, v - lower, v)
        return torch.where(fired, self.own("v_reset"), v)
