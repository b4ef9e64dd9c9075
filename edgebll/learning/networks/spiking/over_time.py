"""What stands around neurons: layers over all time steps at once, static samples over time, and recurrent connections.

Linear layers and convolutions know no time. They see the B T time steps of a batch as B T samples, in one product; only what a
neuron remembers goes from step to step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.spiking.neuron import Neuron, State, unrolled


class OverTime(nn.Module):
    """A layer that knows no time, on every time step.

    Args:
        layer: takes (B, ...).
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, ...) to (B, T, ...)."""
        given: Tensor = self.layer(x.flatten(0, 1))
        return given.reshape(*x.shape[:2], *given.shape[1:])


class Repeated(nn.Module):
    """A static sample as the same current in every time step.

    Args:
        time_steps: T.
    """

    def __init__(self, time_steps: int) -> None:
        super().__init__()
        self.time_steps = time_steps

    def forward(self, x: Tensor) -> Tensor:
        """(B, ...) to (B, T, ...)."""
        return x.unsqueeze(1).expand(-1, self.time_steps, *x.shape[1:])


class Recurrent(nn.Module):
    """Neurons that hear each other: in each step a linear layer of all their spikes of the step before is added to the current.

    Args:
        neuron: of vectors (B, F).
        linear: from F to F features.

    Raises:
        ConfigError: the linear layer gives another number of features than it takes.
    """

    def __init__(self, neuron: Neuron, linear: nn.Linear) -> None:
        super().__init__()
        if linear.in_features != linear.out_features:
            raise ConfigError(
                f"recurrent connections go from all neurons to all, not from {linear.in_features} to {linear.out_features}"
            )
        self.neuron, self.linear = neuron, linear

    def initial(self, current: Tensor) -> State:
        """The state of rest: the neurons', and "z", the spikes of the step before, none."""
        return {**self.neuron.initial(current), "z": torch.zeros_like(current)}

    def step(self, state: State, current: Tensor) -> tuple[State, Tensor]:
        """One time step, as of a neuron."""
        new, out = self.neuron.step(state, current + self.linear(state["z"]))
        return {**new, "z": out}, out

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, F) to (B, T, F)."""
        return unrolled(self, x)
