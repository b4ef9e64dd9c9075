"""Networks of convolutions without shortcuts: VGG16 and AlexNet as the BackLink paper adapts them to small images (section 3).

All convolutions are 3x3 with stride 1 and padding 1, followed by batch norm and ReLU; dropout of 0.5 acts on what the hidden
linear layers give. Each layer is a unit, the classifier too, so that there are as many blocks as layers at most.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.modules.seeded_dropout import SeededDropout
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.unit_network import UnitNetwork


@dataclass(frozen=True)
class PlainConv(Architecture):
    """Convolutions with pooling, then three linear layers.

    Attributes:
        width: channels of the first convolution; the others keep their ratio to it.
        hidden: features of the two hidden linear layers.
        dropout: probability of dropout on their outputs.
        stage_channels: channels of the convolutions at the default width, by stage; each stage ends in 2x2 max pooling.
    """

    width: int = 64
    hidden: int = 512
    dropout: float = 0.5

    stage_channels: ClassVar[tuple[tuple[int, ...], ...]]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"{self.name}'s dropout must lie in [0, 1), but is {self.dropout}")

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units: one a layer. Maps of one pixel are not pooled any more."""
        units = []
        shape = input_shape
        for stage in self.stage_channels:
            for index, channels in enumerate(stage):
                width = max(1, channels * self.width // self.stage_channels[0][0])
                stride = 2 if index + 1 == len(stage) and min(shape[1:]) > 1 else 1
                units.append(Unit(_convolution(width, shape, stride), 1, partial(_convolution, width)))
                shape = (width, shape[1] // stride, shape[2] // stride)
        for index, size in enumerate((self.hidden, self.hidden, num_classes)):
            dropout = self.dropout if index else 0.0
            last = index == 2
            units.append(Unit(_linear(size, dropout, last, shape), 1, partial(_linear, size, dropout, last)))
            shape = (size,)
        stages = (*(len(stage) for stage in self.stage_channels[:-1]), len(self.stage_channels[-1]) + 3)
        return UnitNetwork(units, None, num_classes, input_shape, self.name, self.options(), stages)


def _convolution(width: int, input_shape: tuple[int, ...], stride: int) -> nn.Sequential:
    layers = [nn.Conv2d(input_shape[0], width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers, *([nn.MaxPool2d(stride)] if stride > 1 else []))


def _linear(size: int, dropout: float, last: bool, input_shape: tuple[int, ...], stride: int = 1) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Flatten()] if len(input_shape) > 1 else []
    layers += [SeededDropout(dropout)] if dropout else []
    layers.append(nn.Linear(math.prod(input_shape), size))
    return nn.Sequential(*layers, *([] if last else [nn.ReLU()]))


@dataclass(frozen=True)
class VGG16(PlainConv):
    """Thirteen convolutions of 64 to 512 channels (Simonyan and Zisserman 2015, configuration D) and three linear layers."""

    name: ClassVar[str] = "vgg16"
    summary: ClassVar[str] = "VGG16 with batch norm and linear layers for small images (BackLink)."
    stage_channels: ClassVar[tuple[tuple[int, ...], ...]] = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)


@dataclass(frozen=True)
class AlexNet(PlainConv):
    """Five convolutions of 96 to 384 channels and three linear layers (Krizhevsky, Sutskever and Hinton 2012), in one column.

    The BackLink paper does not say how wide its linear layers are; the default here is a quarter of the original's 4096.
    """

    width: int = 96
    hidden: int = 1024

    name: ClassVar[str] = "alexnet"
    summary: ClassVar[str] = "AlexNet with 3x3 convolutions and batch norm, for small images (BackLink)."
    stage_channels: ClassVar[tuple[tuple[int, ...], ...]] = ((96,), (256,), (384, 384, 256))
