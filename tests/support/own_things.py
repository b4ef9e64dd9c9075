"""A file of a user's own: a network, a rule and an optimiser, none of which edgebll has."""

from __future__ import annotations

from pathlib import Path

FILES = {
    "layers.py": """
from torch import nn


def stage(ins, outs):
    return nn.Sequential(nn.Conv2d(ins, outs, 3, 2, 1), nn.GroupNorm(2, outs), nn.ReLU())


class Stem(nn.Sequential):
    def __init__(self, outs):
        super().__init__(nn.Conv2d(1, outs, 3, 1, 1), nn.ReLU())
""",
    "things.py": """
from dataclasses import dataclass

import torch
from layers import Stem, stage
from torch import nn

from edgebll.learning import BLL, Objective, Optimizer, Rule


class Net(nn.Module):
    def __init__(self, num_classes, width: int = 4):
        super().__init__()
        self.stem, self.first, self.second = Stem(width), stage(width, 2 * width), stage(2 * width, 2 * width)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, x):
        x = self.second(self.first(self.stem(x)))
        return self.head(x.mean((2, 3)))


class Contrast(Objective):
    def __init__(self, place, weight):
        self.place, self.weight = place, weight

    def head(self):
        return nn.Linear(self.place.output_shape[0], self.place.num_classes)

    def loss(self, head, feedback, a, y):
        return -self.weight * (y * torch.log_softmax(head(a.mean((2, 3))), 1)).sum(1).mean(), {}


@dataclass(frozen=True)
class Mine(Rule):
    weight: float = 1.0

    def local_objective(self, place):
        return Contrast(place, self.weight)


@dataclass(frozen=True)
class SignedMomentum(Optimizer):
    beta: float = 0.9

    def initial_moments(self, parameters):
        return {"velocity." + name: torch.zeros_like(value) for name, value in parameters.items()}

    def descend(self, parameters, gradients, moments, lr):
        new = {}
        for name, value in parameters.items():
            moment = self.beta * moments["velocity." + name] + gradients[name]
            new |= {"velocity." + name: moment, name: value - lr * moment / (moment.abs() + 0.1)}
        return new
""",
}


def write_things(folder: Path) -> Path:
    """Write the files into a folder; returns the one that is named."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder / "things.py"
