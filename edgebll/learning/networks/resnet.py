"""Residual networks (He, Zhang, Ren and Sun 2016, arXiv 1512.03385), for small images: the stem is one convolution.

Shortcuts are the identity, or a 1x1 convolution with batch norm where the shape changes ("option B" there; in the BackLink
paper, section 3, and in InfoPro's code also in the networks of He et al.'s section 4.2, whose own have no parameters).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.unit_network import UnitNetwork

CONV, SPACE_TO_DEPTH = STEMS = ("conv", "space_to_depth")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut: relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)).

    Args:
        in_channels: of x.
        width: channels of both convolutions.
        stride: of the first.
    """

    expansion: ClassVar[int] = 1
    layers: ClassVar[int] = 2

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(in_channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, width, H / stride, W / stride)."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions with batch norm and a shortcut; the last has four times the channels of the others.

    Args:
        in_channels: of x.
        width: channels of the first two convolutions.
        stride: of the 3x3 convolution.
    """

    expansion: ClassVar[int] = 4
    layers: ClassVar[int] = 3

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, self.expansion * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(self.expansion * width)
        self.shortcut = _shortcut(in_channels, self.expansion * width, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, 4 width, H / stride, W / stride)."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        hidden = F.relu(self.bn2(self.conv2(hidden)))
        return F.relu(self.bn3(self.conv3(hidden)) + self.shortcut(x))


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels))


@dataclass(frozen=True)
class ResNet(Architecture):
    """Stem and stages of residual blocks, each stage with maps of half the side and twice the channels of the one before.

    Attributes:
        width: of the blocks of the first stage, and channels of the stem.
        stem: "conv", a 3x3 convolution, or "space_to_depth": one over the channels of 2x2 pixels side by side, which halves the
            maps of all stages and so their cost to a quarter. It is computed as the 6x6 convolution of stride 2 that it equals.
        block: kind of block.
        depths: blocks of each stage.
        even_by_units: see UnitNetwork.by_units.
    """

    width: int = 64
    stem: str = CONV

    block: ClassVar[type[BasicBlock] | type[Bottleneck]] = BasicBlock
    depths: ClassVar[tuple[int, ...]]
    even_by_units: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stem not in STEMS:
            raise ConfigError(f"{self.name}'s stem must be one of {', '.join(STEMS)}, not {self.stem!r}")

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units: the stem, then one a block."""
        kernel, stride, padding = (6, 2, 2) if self.stem == SPACE_TO_DEPTH else (3, self.stem_stride(input_shape), 1)
        stem = nn.Conv2d(input_shape[0], self.width, kernel, stride, padding, bias=False)
        units = [Unit(nn.Sequential(stem, nn.BatchNorm2d(self.width), nn.ReLU()), 1)]
        channels = self.width
        for stage, depth in enumerate(self.depths):
            width = self.width * 2**stage
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                module = self.block(channels, width, stride)
                units.append(Unit(module, self.block.layers, partial(_another, self.block, width)))
                channels = self.block.expansion * width
        classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
        stages = (1 + self.depths[0], *self.depths[1:])
        options = self.options()
        return UnitNetwork(units, Unit(classifier, 1), num_classes, input_shape, self.name, options, stages, self.even_by_units)

    def stem_stride(self, input_shape: tuple[int, ...]) -> int:
        """Stride of the 3x3 stem."""
        return 1


def _another(block: type[BasicBlock] | type[Bottleneck], width: int, input_shape: tuple[int, ...], stride: int) -> nn.Module:
    return block(input_shape[0], width, stride)


@dataclass(frozen=True)
class ResNet8(ResNet):
    """Three basic blocks of 16, 32 and 64 channels: small enough for examples and tests."""

    width: int = 16

    name: ClassVar[str] = "resnet8"
    summary: ClassVar[str] = "Small residual network; the stem halves images of more than 16 pixels a side."
    example: ClassVar[tuple[tuple[int, ...], int]] = ((1, 28, 28), 10)
    depths: ClassVar[tuple[int, ...]] = (1, 1, 1)

    def stem_stride(self, input_shape: tuple[int, ...]) -> int:
        """2 for images larger than 16 pixels."""
        return 2 if input_shape[-1] > 16 else 1


@dataclass(frozen=True)
class ResNet18(ResNet):
    """Eight basic blocks of 64, 128, 256 and 512 channels, two each."""

    name: ClassVar[str] = "resnet18"
    summary: ClassVar[str] = "Residual network of basic blocks, 64 to 512 channels (BLL poster)."
    depths: ClassVar[tuple[int, ...]] = (2, 2, 2, 2)


@dataclass(frozen=True)
class ResNet50(ResNet):
    """Sixteen bottlenecks of 256 to 2048 channels; an even split into 4 blocks gives each block four of them."""

    name: ClassVar[str] = "resnet50"
    summary: ClassVar[str] = "Residual network of bottlenecks, 256 to 2048 channels (BLL paper)."
    block: ClassVar[type[BasicBlock] | type[Bottleneck]] = Bottleneck
    depths: ClassVar[tuple[int, ...]] = (3, 4, 6, 3)


@dataclass(frozen=True)
class ResNet32(ResNet):
    """6n + 2 layers with n = 5: basic blocks of 16, 32 and 64 channels, five each."""

    width: int = 16

    name: ClassVar[str] = "resnet32"
    summary: ClassVar[str] = "Residual network of 6n + 2 layers, 16 to 64 channels (BackLink, InfoPro)."
    depths: ClassVar[tuple[int, ...]] = (5, 5, 5)
    even_by_units: ClassVar[bool] = True


@dataclass(frozen=True)
class ResNet110(ResNet32):
    """6n + 2 layers with n = 18."""

    name: ClassVar[str] = "resnet110"
    depths: ClassVar[tuple[int, ...]] = (18, 18, 18)
