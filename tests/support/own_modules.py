"""Networks as users write them, not made to be cut: residuals, branches, functions between layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SHAPE, CLASSES = (1, 8, 8), 10


class Residual(nn.Module):
    """Two convolutions and a way round them."""

    def __init__(self, ins: int, outs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(ins, outs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outs)
        self.conv2 = nn.Conv2d(outs, outs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outs)
        self.short = nn.Conv2d(ins, outs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(a)) + self.short(x))


class Body(nn.Module):
    """Two stages."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(Residual(width, width), Residual(width, width))
        self.layer2 = nn.Sequential(Residual(width, 2 * width, 2), Residual(2 * width, 2 * width))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(self.layer1(x))


class SmallResNet(nn.Module):
    """Stem, body, dropout and head, with an argument that has a default, and a parameter of its own."""

    def __init__(self, num_classes: int = CLASSES, width: int = 8) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, 1, 1)
        self.shift = nn.Parameter(torch.full((1, width, 1, 1), 0.1))
        self.body = Body(width)
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        x = self.body(torch.relu(self.stem(x) + self.shift))
        return self.head(self.drop(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))


class AsksForMode(nn.Module):
    """Its own forward drops out, in training alone."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(64, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.dropout(self.first(x.flatten(1)), 0.5, self.training))


class FollowsValues(AsksForMode):
    """What its forward does depends on values."""

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x.flatten(1))
        return self.second(a if a.sum() > 0 else -a)


class Counts(AsksForMode):
    """Its forward remembers how often it ran, in Python, and computes with it."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.second(self.first(x.flatten(1))) * (2.0 if self.calls % 2 else 1.0)


class Draws(AsksForMode):
    """Its forward draws a number of Python's, which a trace keeps as it was."""

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flatten(1))) * torch.rand(()).item()


class Looks(AsksForMode):
    """Its forward computes otherwise where it is followed by a trace."""

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.flatten(1))) * (1.0 if isinstance(x, torch.fx.Proxy) else 2.0)


class Wrapped(nn.Module):
    """A model inside of a model, as packages have it; the inner one may not be looked into."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(64, 64), inner, nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.inner(self.first(x.flatten(1)).view(-1, 1, 8, 8)))


def hook(*_: Any) -> None:
    """Does nothing."""
