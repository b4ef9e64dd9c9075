"""Multi-layer perceptron: flatten, hidden layers with batch norm and ReLU, linear classifier."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import nn

from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.unit_network import UnitNetwork


@dataclass(frozen=True)
class MLP(Architecture):
    """Units of Linear, BatchNorm1d and ReLU.

    Attributes:
        width: features of each hidden layer.
        depth: hidden layers.
    """

    width: int = 256
    depth: int = 4

    name: ClassVar[str] = "mlp"
    summary: ClassVar[str] = "Multi-layer perceptron with batch norm."
    inputs: ClassVar[str] = "any"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((1, 28, 28), 10)

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units."""
        units = []
        shape = input_shape
        for _ in range(self.depth):
            units.append(Unit(_hidden(self.width, shape), 1, partial(_hidden, self.width)))
            shape = (self.width,)
        classifier = Unit(nn.Linear(self.width, num_classes), 1)
        return UnitNetwork(units, classifier, num_classes, input_shape, self.name, self.options())


def _hidden(size: int, input_shape: tuple[int, ...], stride: int = 1) -> nn.Sequential:
    flat: list[nn.Module] = [nn.Flatten()] if len(input_shape) > 1 else []
    return nn.Sequential(*flat, nn.Linear(math.prod(input_shape), size, bias=False), nn.BatchNorm1d(size), nn.ReLU())
