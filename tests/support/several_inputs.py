"""Samples of an image and a vector of readings, and networks of three blocks that read both, early or late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

EARLY, LATE = "early", "late"
NETWORKS = (EARLY, LATE)
SAMPLES, BATCH, SIDE, READINGS = 160, 16, 6, 5
CODE = """
import torch
from torch import nn


class Both(nn.Module):
    def __init__(self, pixels, readings, width):
        super().__init__()
        self.image, self.vector = nn.Linear(pixels, width), nn.Linear(readings, width)

    def forward(self, image, readings):
        return torch.relu(self.image(image.flatten(1)) + self.vector(readings))


class Last(nn.Module):
    def __init__(self, width, readings, num_classes):
        super().__init__()
        self.linear = nn.Linear(width + readings, num_classes)

    def forward(self, x, readings):
        return self.linear(torch.cat([x, readings], 1))


def early(num_classes, width=16):
    hidden = nn.Sequential(nn.Linear(width, width), nn.ReLU())
    return [Both(36, 5, width), hidden, nn.Linear(width, num_classes)]


def late(num_classes, width=16):
    first = nn.Sequential(nn.Flatten(), nn.Linear(36, width), nn.ReLU())
    return [first, nn.Sequential(nn.Linear(width, width), nn.ReLU()), Last(width, 5, num_classes)]


def whole(num_classes, width=16):
    return [Network(num_classes, width)]


class Network(nn.Module):
    def __init__(self, num_classes, width=16):
        super().__init__()
        self.both, self.last = Both(36, 5, width), nn.Linear(width, num_classes)

    def forward(self, x, readings):
        return self.last(self.both(x, readings))
"""


def write_network(folder: Path) -> Path:
    """The networks `early`, `late` and `whole` in a file."""
    path = folder / "net.py"
    path.write_text(CODE)
    return path


def image_and_readings(count: int = SAMPLES) -> dict[str, Any]:
    """Arrays of samples: one bit of the class is in the image, the other in the readings."""
    random = np.random.default_rng(0)
    y = np.arange(count) % 4
    image = random.normal(0, 0.3, (count, 1, SIDE, SIDE)) + (y % 2)[:, None, None, None]
    readings = random.normal(0, 0.3, (count, READINGS)) + (y // 2)[:, None]
    return {"x": {"image": image.astype(np.float32), "readings": readings.astype(np.float32)}, "y": y}
