"""Multi-layer perceptron: flatten, hidden layers with batch norm and ReLU, linear classifier."""

from __future__ import annotations

import math
from functools import partial

from torch import nn

from edgebll.networks.block_network import Unit, UnitNetwork


def mlp(num_classes: int, input_shape: tuple[int, ...], hidden: tuple[int, ...] = (256, 256, 256, 256)) -> UnitNetwork:
    """Units of Linear, BatchNorm1d and ReLU of the given widths."""
    units = []
    width = math.prod(input_shape)
    for index, size in enumerate(hidden):
        layers: list[nn.Module] = [nn.Flatten()] if index == 0 else []
        units.append(Unit(nn.Sequential(*layers, *_hidden(size, (width,))), 1, partial(_hidden, size)))
        width = size
    return UnitNetwork(units, Unit(nn.Linear(width, num_classes), 1), num_classes, input_shape, "mlp")


def _hidden(size: int, input_shape: tuple[int, ...], stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Linear(math.prod(input_shape), size, bias=False), nn.BatchNorm1d(size), nn.ReLU())
