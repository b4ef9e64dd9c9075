"""A small network that gives a map of class scores as large as its input, for segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from torch import nn

from edgebll.learning.networks import NETWORKS, Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.unit_network import UnitNetwork


@dataclass(frozen=True)
class MapNetwork(Architecture):
    """Convolutions to half the size, and back to scores for each pixel."""

    name: ClassVar[str] = "maps"
    summary: ClassVar[str] = "For tests."
    inputs: ClassVar[str] = "images"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((1, 16, 16), 4)

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """Two units and the scores."""
        channels, height, width = input_shape
        classes = num_classes // (height * width)
        first = nn.Sequential(nn.Conv2d(channels, 6, 3, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU())
        second = nn.Sequential(nn.Conv2d(6, 6, 3, 1, 1), nn.ReLU(), nn.Upsample(scale_factor=2))
        classifier = Unit(nn.Sequential(nn.Conv2d(6, classes, 1), nn.Flatten()), 1)
        return UnitNetwork([Unit(first, 1), Unit(second, 1)], classifier, num_classes, input_shape, self.name, self.options())


def register_map_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know it by its name, for one test."""
    monkeypatch.setitem(NETWORKS, MapNetwork.name, MapNetwork)
