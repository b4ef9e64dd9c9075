"""Convolutions with spiking neurons: strides in place of pooling, so that what leaves a unit are spikes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.spiking.options import SpikingArchitecture
from edgebll.learning.networks.unit_network import UnitNetwork

#: Axes of an image; one more is time.
_IMAGE = 3


@dataclass(frozen=True)
class SpikingConv(SpikingArchitecture):
    """Units of a 3x3 convolution, BatchNorm2d and neurons; from the second on each halves the map and doubles the channels.

    Attributes:
        width: channels of the first convolution.
        depth: convolutions.
    """

    width: int = 16
    depth: int = 4

    name: ClassVar[str] = "spiking-conv"
    summary: ClassVar[str] = "Convolutions with spiking neurons, over the time steps of a sample."
    inputs: ClassVar[str] = "any"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((16, 2, 16, 16), 10)

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units: one a convolution. Maps of one pixel are not halved any more."""
        _, shape, _ = self.steps_of(input_shape)
        if len(shape) != _IMAGE:
            raise ConfigError(
                f"{self.name} takes images (channels, height, width), or such at each time step (T, channels, height, width), "
                f"not samples of shape {input_shape}"
            )
        units, shape = [self.first_unit(input_shape, self.width)], (self.width, *shape[1:])
        for index in range(1, self.depth):
            stride = 2 if min(shape[1:]) > 1 else 1
            units.append(self.unit(shape, self.width << index, stride))
            shape = (self.width << index, *((extent + stride - 1) // stride for extent in shape[1:]))
        return self.network(units, math.prod(shape), num_classes, input_shape)

    def weighted(self, input_shape: tuple[int, ...], size: int, stride: int) -> nn.Sequential:
        """Convolution and batch norm."""
        norm = [nn.BatchNorm2d(size)] if self.norm == "batch" else []
        return nn.Sequential(nn.Conv2d(input_shape[0], size, 3, stride, 1, bias=not norm), *norm)
