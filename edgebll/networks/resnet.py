"""Residual networks of basic blocks (He et al. 2016, arXiv 1512.03385, section 4.2 and table 1)."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.networks.block_network import Unit, UnitNetwork


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm and a shortcut: relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)).

    The shortcut is a 1x1 convolution with batch norm where the shape changes, else the identity.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            projection = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) to (B, out, H / stride, W / stride)."""
        hidden = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


def _residual_network(
    name: str, num_classes: int, input_shape: tuple[int, ...], widths: tuple[int, ...], depth: int, stem_stride: int
) -> UnitNetwork:
    stem = nn.Sequential(
        nn.Conv2d(input_shape[0], widths[0], 3, stem_stride, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
    )
    units = [Unit(stem, 1)]
    channels = widths[0]
    for stage, width in enumerate(widths):
        for index in range(depth):
            stride = 2 if stage > 0 and index == 0 else 1
            units.append(Unit(BasicBlock(channels, width, stride), 2, partial(_basic_block, width)))
            channels = width
    classifier = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, num_classes))
    return UnitNetwork(units, Unit(classifier, 1), num_classes, input_shape, name)


def _basic_block(width: int, input_shape: tuple[int, ...], stride: int) -> BasicBlock:
    return BasicBlock(input_shape[0], width, stride)


def resnet8(num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
    """Stem and three basic blocks of 16, 32 and 64 channels; the stem halves images larger than 16 pixels."""
    stem_stride = 2 if input_shape[-1] > 16 else 1
    return _residual_network("resnet8", num_classes, input_shape, (16, 32, 64), 1, stem_stride)


def resnet18(num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
    """Stem (3x3, stride 1, for small images) and eight basic blocks of 64, 128, 256 and 512 channels, two each."""
    return _residual_network("resnet18", num_classes, input_shape, (64, 128, 256, 512), 2, 1)
