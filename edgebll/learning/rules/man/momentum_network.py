"""The auxiliary network of MAN and MAN++: a layer like the next block's first one, twice, and a classifier."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgebll.learning.folded import fold

#: Of state tensors, behind the auxiliary network's prefix: the moving average's.
AVERAGE = "average."


class MomentumAuxiliaryNetwork(nn.Module):
    """logits = classifier(s f(a; theta) + (2 - s) f(a; E)), with theta and s trained and E a moving average that is given.

    theta and E start as the layer's parameters, s as 1.

    Args:
        layer: f, which is copied.
        classifier: of f's output; of its positions each, where they have labels.
        scaling: whether s is trained; otherwise it stays 1.
        positions: T where each of T positions has a label; 0 where a sample has one.
    """

    def __init__(self, layer: nn.Module, classifier: nn.Module, *, scaling: bool, positions: int = 0) -> None:
        super().__init__()
        self.learned, self.average = copy.deepcopy(layer), _as_buffers(copy.deepcopy(layer))
        self.scale = nn.Parameter(torch.ones(())) if scaling else None
        self.classifier = classifier
        self.positions = positions

    def forward(self, a: Tensor) -> Tensor:
        """Class scores (B, C) or (B, T, C) of the block's output a (B, ...)."""
        learned, average = self.learned(a), self.average(a)
        mixed = learned + average if self.scale is None else self.scale * learned + (2.0 - self.scale) * average
        if not self.positions:
            scores: Tensor = self.classifier(fold(mixed))
            return scores
        each: Tensor = self.classifier(fold(mixed.flatten(0, 1)))
        return each.reshape(len(a), self.positions, -1)


def _as_buffers(module: nn.Module) -> nn.Module:
    """The module with buffers for its trained parameters; one that several layers share stays shared."""
    made: dict[int, Tensor] = {}
    for layer in module.modules():
        for name, value in list(layer._parameters.items()):
            if value is None or not value.requires_grad:
                continue
            buffer = made.setdefault(id(value), value.detach().clone())
            del layer._parameters[name]
            layer.register_buffer(name, buffer)
    return module
