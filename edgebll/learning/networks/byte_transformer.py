"""Decoder-only transformer that gives a score for each symbol that may follow each position: a small language model.

Its layers are those of `transformer_layers`, causal and with GELU. How it starts (ours): weights of a linear map from n
features are from N(0, 1/n) (LeCun et al. 1998, "Efficient backprop", section 4.6), those that end beside a shortcut times
1 / sqrt(2 depth) (Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.3), biases 0. The
embedding of a symbol is from N(0, 1), as large as the sinusoids that learnt positions start from, so that the shallow heads of
early blocks see the symbols from the first step on. (With deviations of 0.02, as large models have them, it learns far slower:
60 steps of backpropagation at 128 features led to 4.37 bits a byte instead of 3.61.)
"""

from __future__ import annotations

import math
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
class ByteTransformer(Architecture):
    """Embedding, causal layers, layer norm and a linear classifier of each position.

    Attributes:
        depth: layers.
        dim: features of a position.
        heads: of each layer's attention; they divide `dim`.
        hidden: features of the middle of a layer's two linear ones; usually 4 dim.
    """

    depth: int = 6
    dim: int = 128
    heads: int = 4
    hidden: int = 512

    name: ClassVar[str] = "byte-transformer"
    summary: ClassVar[str] = "Decoder-only transformer; scores of what follows each position: a language model of bytes."
    inputs: ClassVar[str] = "sequences"
    example: ClassVar[tuple[tuple[int, ...], int]] = ((128, 256), 256)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dim % self.heads:
            raise ConfigError(
                f"the byte-transformer's heads must divide its dim, but {self.dim} is not a multiple of {self.heads}"
            )

    def build(self, num_classes: int, input_shape: tuple[int, ...]) -> UnitNetwork:
        """The network's units: one a layer, the first with the embedding."""
        embedding = Embedding(input_shape, self.dim, learned=True)
        nn.init.normal_(embedding.linear.weight)
        nn.init.zeros_(embedding.linear.bias)
        layers = [self.layer() for _ in range(self.depth)]
        again = partial(_layer, self)
        units = [Unit(nn.Sequential(embedding, layers[0]), 1), *(Unit(layer, 1, again) for layer in layers[1:])]
        scores = nn.Linear(self.dim, num_classes)
        _start(scores)
        classifier = Unit(nn.Sequential(nn.LayerNorm(self.dim), scores), 0)
        return UnitNetwork(units, classifier, num_classes, input_shape, self.name, self.options())

    def layer(self) -> TransformerLayer:
        """A layer with weights from PyTorch's generator."""
        layer = TransformerLayer(self.dim, self.hidden, self.heads, causal=True)
        for linear in (layer.attention.mix, layer.linear1):
            _start(linear)
        for linear in (layer.attention.out, layer.linear2):
            _start(linear, 1 / math.sqrt(2 * self.depth))
        return layer


def _start(linear: nn.Linear, scale: float = 1.0) -> None:
    nn.init.normal_(linear.weight, std=scale / math.sqrt(linear.in_features))
    nn.init.zeros_(linear.bias)


def _layer(architecture: ByteTransformer, input_shape: tuple[int, ...], stride: int) -> TransformerLayer:
    return architecture.layer()
