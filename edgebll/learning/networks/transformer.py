"""Encoder-only transformer with one attention head and a class score for every position: the network of the task `reverse`.

Layers normalise before they act ("pre-LN", Xiong et al. 2020, arXiv 2002.04745), so that twenty of them train without warm-up:

    h = x + attention(norm(x)),   layer(x) = h + linear(relu(linear(norm(h))))

The poster gives the twenty layers and the single head; everything else here is our choice.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.unit_network import UnitNetwork


class Attention(nn.Module):
    """Self-attention with one head: softmax(Q K^T / sqrt(D)) V, each of Q, K and V a linear map of x, then a linear map."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.mix = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        query, key, value = self.mix(x).chunk(3, dim=-1)
        scores = query @ key.transpose(1, 2) * (1 / math.sqrt(x.shape[-1]))
        mixed: Tensor = self.out(F.softmax(scores, dim=-1) @ value)
        return mixed


class EncoderLayer(nn.Module):
    """Attention and two linear layers, each behind a layer norm and beside a shortcut."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim)
        self.norm2, self.linear1, self.linear2 = nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x = x + self.attention(self.norm1(x))
        mixed: Tensor = x + self.linear2(F.relu(self.linear1(self.norm2(x))))
        return mixed


class Embedding(nn.Module):
    """A linear map of each position's features plus a vector for the position, fixed or learnt from the same start."""

    positions: Tensor

    def __init__(self, input_shape: tuple[int, ...], dim: int, learned: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(input_shape[1], dim)
        positions = sinusoids(input_shape[0], dim)
        if learned:
            self.positions = nn.Parameter(positions)
        else:
            self.register_buffer("positions", positions)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, features) to (B, T, D)."""
        embedded: Tensor = self.linear(x) + self.positions
        return embedded


def sinusoids(length: int, dim: int) -> Tensor:
    """Sines and cosines of the position at wavelengths from 2 pi to 10000 * 2 pi (Vaswani et al. 2017, section 3.5): (T, D)."""
    rates = 10000.0 ** (-torch.arange(0, dim, 2) / dim)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]


@dataclass(frozen=True)
class Transformer(Architecture):
    """Embedding, encoder layers, layer norm and a linear classifier of each position.

    Attributes:
        depth: layers.
        dim: features of a position.
        hidden: features of the middle of a layer's two linear ones.
        positions: vectors that tell positions apart: "sinusoidal", or "learned" from there. (Small random ones leave the twenty
            layers on a plateau: no attention by position after 500 steps of Adam, where sinusoids need 150 to solve the task.)
    """

    depth: int = 20
    dim: int = 64
    hidden: int = 128
    positions: str = "sinusoidal"

    name: ClassVar[str] = "transformer"
    summary: ClassVar[str] = "Encoder-only transformer with one head; a class for every position (BLL poster)."
    inputs: ClassVar[str] = "sequences"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((10, 10), 10)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.positions not in ("learned", "sinusoidal"):
            raise ConfigError(f"the transformer's positions must be learned or sinusoidal, not {self.positions!r}")

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units: one a layer, the first with the embedding."""
        again = partial(_layer, self.dim, self.hidden)
        embedding = Embedding(input_shape, self.dim, self.positions == "learned")
        layers = [EncoderLayer(self.dim, self.hidden) for _ in range(self.depth)]
        units = [Unit(nn.Sequential(embedding, layers[0]), 1), *(Unit(layer, 1, again) for layer in layers[1:])]
        classifier = Unit(nn.Sequential(nn.LayerNorm(self.dim), nn.Linear(self.dim, num_classes)), 0)
        return UnitNetwork(units, classifier, num_classes, input_shape, self.name, self.options())


def _layer(dim: int, hidden: int, input_shape: tuple[int, ...], stride: int) -> EncoderLayer:
    return EncoderLayer(dim, hidden)
