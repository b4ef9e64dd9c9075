"""Multi-layer perceptron of spiking neurons: linear layers, batch norm, neurons; a leaky integrator reads it out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.learning.networks.spiking.options import SpikingArchitecture
from edgebll.learning.networks.spiking.over_time import Recurrent
from edgebll.learning.networks.unit_network import UnitNetwork


@dataclass(frozen=True)
class SpikingMLP(SpikingArchitecture):
    """Units of Linear, BatchNorm1d and neurons.

    Attributes:
        width: neurons of each hidden layer.
        depth: hidden layers.
        recurrent: whether the neurons of a layer hear each other's spikes of the step before, through a linear layer.
    """

    width: int = 256
    depth: int = 4
    recurrent: bool = False

    name: ClassVar[str] = "spiking-mlp"
    summary: ClassVar[str] = "Multi-layer perceptron of spiking neurons, over the time steps of a sample."
    inputs: ClassVar[str] = "any"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((16, 2, 8, 8), 10)

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units: one a hidden layer."""
        units = [self.first_unit(input_shape, self.width)]
        units += [self.unit((self.width,), self.width) for _ in range(self.depth - 1)]
        return self.network(units, self.width, num_classes, input_shape)

    def weighted(self, input_shape: tuple[int, ...], size: int, stride: int) -> nn.Sequential:
        """Flatten where there is something to, linear layer, batch norm."""
        flat = [nn.Flatten()] if len(input_shape) > 1 else []
        norm = [nn.BatchNorm1d(size)] if self.norm == "batch" else []
        return nn.Sequential(*flat, nn.Linear(math.prod(input_shape), size, bias=not norm), *norm)

    def hidden(self, size: int) -> nn.Module:
        """The neurons, with connections among them where there are some."""
        neuron = self.make_neuron()
        return Recurrent(neuron, nn.Linear(size, size, bias=False)) if self.recurrent else neuron
