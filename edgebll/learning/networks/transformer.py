"""Encoder-only transformer with one attention head and a class score for every position: the network of the task `reverse`.

Its layers are those of `transformer_layers`, with ReLU. The poster gives the twenty layers and the single head; everything else
here is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.architecture import Architecture
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.networks.transformer_layers import Embedding, TransformerLayer
from edgebll.learning.networks.unit_network import UnitNetwork


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
        layers = [TransformerLayer(self.dim, self.hidden) for _ in range(self.depth)]
        units = [Unit(nn.Sequential(embedding, layers[0]), 1), *(Unit(layer, 1, again) for layer in layers[1:])]
        classifier = Unit(nn.Sequential(nn.LayerNorm(self.dim), nn.Linear(self.dim, num_classes)), 0)
        return UnitNetwork(units, classifier, num_classes, input_shape, self.name, self.options())


def _layer(dim: int, hidden: int, input_shape: tuple[int, ...], stride: int) -> TransformerLayer:
    return TransformerLayer(dim, hidden)
