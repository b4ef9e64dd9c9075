"""What the shipped spiking networks have in common: options of their neurons, and how a sample's axes are read.

A sample with an even number of axes has time first: (T, features) or (T, channels, height, width). One with an odd number,
(features) or (channels, height, width), is static: its first layer is computed once, and is the same current in each of
`time_steps` steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.networks.spiking.cuba import CubaLIF
from edgebll.learning.networks.spiking.lif import IF, LIF
from edgebll.learning.networks.spiking.neuron import Neuron
from edgebll.learning.networks.spiking.over_time import OverTime, Repeated
from edgebll.learning.networks.spiking.readout import LI, MeanOverTime
from edgebll.learning.networks.unit_network import UnitNetwork

#: How much slower ALIF's threshold forgets than its potential.
_ADAPTS = 10.0


@dataclass(frozen=True)
class SpikingArchitecture(Architecture):
    """Base of the shipped spiking networks.

    Attributes:
        neuron: "lif", "if", "cuba_lif" or "alif".
        tau: time constant of the neurons in seconds: synapse and membrane; ALIF's threshold has ten times that.
        v_threshold: potential above which neurons spike; without batch norm, currents are small, and 0.3 serves better.
        learn_tau: whether each layer's time constants are trained.
        reset: after a spike, "value" (to 0) or "subtract" (the threshold).
        surrogate: "fast_sigmoid", "superspike", "arctan" or "triangular".
        slope: of the surrogate; 0 for its usual one.
        norm: "batch" (batch norm of the currents, over samples and time steps) or "none".
        time_steps: T of static samples; those with an axis of time have their own.
    """

    neuron: str = "lif"
    tau: float = 2e-3
    v_threshold: float = 1.0
    learn_tau: bool = False
    reset: str = "value"
    surrogate: str = "arctan"
    slope: float = 0.0
    norm: str = "batch"
    time_steps: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neuron not in NEURONS:
            raise ConfigError(f"{self.name}'s neuron is one of {', '.join(NEURONS)}, not {self.neuron!r}")
        if self.norm not in ("batch", "none"):
            raise ConfigError(f"{self.name}'s norm is batch or none, not {self.norm!r}")
        if self.learn_tau and self.neuron == "if":
            raise ConfigError(f"{self.name}'s neuron if has no time constant; leave learn_tau out, or use neuron=lif")
        if not self.v_threshold > 0:
            raise ConfigError(f"{self.name}'s v_threshold must be above 0, where neurons rest, but is {self.v_threshold}")
        self.make_neuron()  # refuses the other options

    def make_neuron(self) -> Neuron:
        """A layer of the chosen neurons."""
        shared: dict[str, Any] = {"reset": self.reset, "surrogate": self.surrogate, "slope": self.slope}
        return NEURONS[self.neuron](self.tau, self.learn_tau, {**shared, "v_threshold": self.v_threshold})

    def steps_of(self, input_shape: tuple[int, ...]) -> tuple[int, tuple[int, ...], bool]:
        """Of samples: T, the shape of one time step, and whether they are static.

        Raises:
            ConfigError: samples of this shape are none of the network's.
        """
        if len(input_shape) % 2:
            return self.time_steps, input_shape, True
        return input_shape[0], input_shape[1:], False

    def weighted(self, input_shape: tuple[int, ...], size: int, stride: int) -> nn.Sequential:
        """The layers of a unit for one time step, all before its neurons.

        Args:
            input_shape: of one sample of a time step.
            size: features or channels of the unit.
            stride: by how much its map is smaller than its input's.
        """
        raise NotImplementedError

    def hidden(self, size: int) -> nn.Module:
        """The neurons of a unit of so many features or channels; take (B, T, ...)."""
        return self.make_neuron()

    def unit(self, input_shape: tuple[int, ...], size: int, stride: int = 1) -> Unit:
        """A unit behind others: layers of one time step, then neurons. It can be built again over time, and for rates.

        Args:
            input_shape: of one sample of a time step.
            size: features or channels.
            stride: by how much its map is smaller than its input's.
        """
        module = nn.Sequential(OverTime(self.weighted(input_shape, size, stride)), self.hidden(size))
        return Unit(module, 1, partial(self._again, size))

    def first_unit(self, input_shape: tuple[int, ...], size: int) -> Unit:
        """The first unit, whose layers are computed once for static samples."""
        _, shape, static = self.steps_of(input_shape)
        layers = self.weighted(shape, size, 1)
        over_time = [layers, Repeated(self.time_steps)] if static else [OverTime(layers)]
        return Unit(nn.Sequential(*over_time, self.hidden(size)), 1)

    def _again(self, size: int, input_shape: tuple[int, ...], stride: int) -> nn.Module:
        """Over time as it is; of rates, which have no time, the same layers with ReLU for the neurons' response."""
        if len(input_shape) % 2:
            return nn.Sequential(self.weighted(input_shape, size, stride), nn.ReLU())
        return self.unit(input_shape[1:], size, stride).module

    def network(self, units: list[Unit], features: int, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The units with their readout: a linear layer, a leaky integrator of each class, and its mean over time."""
        readout = nn.Sequential(OverTime(nn.Sequential(nn.Flatten(), nn.Linear(features, num_classes))), LI(self.tau))
        classifier = Unit(nn.Sequential(*readout, MeanOverTime()), 1)
        steps = self.steps_of(input_shape)[0]
        return UnitNetwork(units, classifier, num_classes, input_shape, self.name, self.options(), time_steps=steps)


def _if(tau: float, learn: bool, shared: dict[str, Any]) -> Neuron:
    return IF(**shared)


def _lif(tau: float, learn: bool, shared: dict[str, Any]) -> Neuron:
    return LIF(tau, trainable=("tau",) if learn else (), **shared)


def _cuba_lif(tau: float, learn: bool, shared: dict[str, Any]) -> Neuron:
    return CubaLIF(tau, tau, trainable=("tau_syn", "tau_mem") if learn else (), **shared)


def _alif(tau: float, learn: bool, shared: dict[str, Any]) -> Neuron:
    return ALIF(tau, _ADAPTS * tau, trainable=("tau", "tau_adapt") if learn else (), **shared)


#: Name -> makes a layer of neurons of a time constant, which is trained or not, and further options.
NEURONS: dict[str, Callable[[float, bool, dict[str, Any]], Neuron]] = {
    "lif": _lif,
    "if": _if,
    "cuba_lif": _cuba_lif,
    "alif": _alif,
}
