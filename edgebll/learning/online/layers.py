"""What a block of a spiking network is to a rule that learns online: layers of weights, each followed by its neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.networks.spiking.cuba import CubaLI, CubaLIF
from edgebll.learning.networks.spiking.lif import IF, LIF
from edgebll.learning.networks.spiking.neuron import Neuron, SpikingNeuron
from edgebll.learning.networks.spiking.over_time import OverTime, Recurrent, Repeated
from edgebll.learning.networks.spiking.readout import LI, MeanOverTime

#: Neurons -> names of the time constants that what comes in passes one after another.
FILTERS: dict[type[Neuron], tuple[str, ...]] = {
    IF: (),
    LIF: ("tau",),
    ALIF: ("tau",),
    LI: ("tau",),
    CubaLIF: ("tau_syn", "tau_mem"),
    CubaLI: ("tau_syn", "tau_mem"),
}
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
#: Layers that are affine in one time step, so that a filtered input gives a filtered output.
AFFINE = (
    *(nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d),
    *(nn.Flatten, nn.Unflatten, nn.Identity, *NORMS),
)


@dataclass
class OnlineLayer:
    """Weights, then neurons.

    Attributes:
        weights: layers of one time step, in order; none where neurons follow neurons.
        static: whether they see samples without time, once, before these are repeated.
        neuron: what they drive.
        recurrent: from the neurons' spikes of the step before to their currents; None where they do not hear each other.
    """

    weights: list[nn.Module] = field(default_factory=list)
    static: bool = False
    neuron: Neuron = field(default_factory=LI)
    recurrent: nn.Linear | None = None

    @property
    def spikes(self) -> bool:
        """Whether spikes come out, not potentials."""
        return isinstance(self.neuron, SpikingNeuron)

    @property
    def decays(self) -> tuple[float, ...]:
        """What each of the neuron's filters keeps in a step of what it had before."""
        return tuple(1.0 - self.neuron.dt / float(self.neuron.value(name)) for name in FILTERS[type(self.neuron)]) or (1.0,)


def read_layers(block: nn.Module, rule: str) -> tuple[list[OnlineLayer], bool]:
    """The layers of a block, and whether the mean over time ends it.

    Args:
        block: of a spiking network.
        rule: its name, for messages.

    Raises:
        ConfigError: the block is none of layers and neurons one after another, or its neurons learn what traces do not follow.
    """
    layers, current, averaged = list[OnlineLayer](), OnlineLayer(), False
    for layer, timed in _leaves(block, timed=False):
        if averaged:
            raise ConfigError(f"{rule} ends a block with the mean over time, but a {type(layer).__name__} follows it")
        if isinstance(layer, MeanOverTime):
            averaged = True
        elif isinstance(layer, Repeated):
            current.static = True
        elif isinstance(layer, Neuron | Recurrent):
            current.neuron = layer.neuron if isinstance(layer, Recurrent) else layer
            current.recurrent = layer.linear if isinstance(layer, Recurrent) else None
            _check_neuron(current.neuron, rule)
            layers.append(current)
            current = OnlineLayer()
        elif isinstance(layer, AFFINE) and (timed or not layers):
            current.weights.append(layer)
        else:
            raise ConfigError(
                f"{rule} learns from traces of what comes into a layer, which pass {_NAMES} and neurons, but not a "
                f"{type(layer).__name__}; train this network with bll, greedy or backprop"
            )
    if not layers or current.weights:
        raise ConfigError(f"{rule} trains spiking networks, e.g. --network spiking-mlp; each block must end in neurons")
    return layers, averaged


_NAMES = "linear layers, convolutions, average pooling, batch norm"


def _leaves(module: nn.Module, *, timed: bool) -> Iterator[tuple[nn.Module, bool]]:
    """Layers in order, each with whether it sees every time step."""
    if isinstance(module, OverTime):
        yield from _leaves(module.layer, timed=True)
    elif type(module) is nn.Sequential:
        for child in module:
            yield from _leaves(child, timed=timed)
    else:
        yield module, timed


def _check_neuron(neuron: Neuron, rule: str) -> None:
    name = type(neuron).__name__
    if type(neuron) not in FILTERS:
        raise ConfigError(f"{rule} does not know the neurons {name}; it knows {', '.join(n.__name__ for n in FILTERS)}")
    if any(True for _ in neuron.parameters()):
        raise ConfigError(f"{rule} does not train values of the neurons themselves; leave {name}'s trainable empty")
    for tau in FILTERS[type(neuron)]:
        value: Tensor = neuron.value(tau)
        if value.numel() != 1:
            raise ConfigError(f"{rule} takes neurons of a layer that share one {tau}, but {name}'s are {value.numel()}")
