"""Dropout layers of PyTorch and the seeded ones that take their place while a block trains; see
`edgebll.learning.modules.seeded_dropout`.

PyTorch's layers draw from a generator that no graph has. The block itself keeps its own layers: the seeded ones only stand in
for them inside a step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from edgebll.learning.modules.seeded_attention import SeededAttention
from edgebll.learning.modules.seeded_dropout import SeededDropout

#: Layer of PyTorch -> whether it drops whole channels.
_DROPOUTS: dict[type[nn.Module], bool] = {nn.Dropout: False, nn.Dropout1d: True, nn.Dropout2d: True, nn.Dropout3d: True}


def _stand_in(layer: nn.Module) -> tuple[nn.Module, SeededDropout] | None:
    """What takes a layer's place, and the generator in it; None for one that draws nothing."""
    if type(layer) is nn.MultiheadAttention and layer.training and 0 < layer.dropout < 1:
        attention = SeededAttention(layer)
        return attention, attention.dropout_layer
    if isinstance(layer, _DropoutNd) and type(layer) in _DROPOUTS and layer.training and 0 < layer.p < 1:
        seeded = SeededDropout(layer.p, whole_channels=_DROPOUTS[type(layer)])
        return seeded, seeded
    return None


class StandIn(NamedTuple):
    """`layer`, which takes the place of the module's own layer `path`: `places` are the registries of its parents, and keys."""

    path: str
    own: nn.Module
    layer: nn.Module
    dropout: SeededDropout
    places: list[tuple[dict[str, nn.Module | None], str]]

    @property
    def note(self) -> str:
        """For people."""
        return f"seeded dropout stands in for layer {self.path!r} ({type(self.own).__name__})"


def stand_ins(module: nn.Module) -> list[StandIn]:
    """A seeded layer for each dropout layer that would draw; seeds come from PyTorch's generator, in order of the layers."""
    found: dict[int, StandIn] = {}
    for path, layer in module.named_modules():
        made = _stand_in(layer)
        if made is not None:
            found[id(layer)] = StandIn(path, layer, *made, [])
    for parent in module.modules():
        for key, child in parent._modules.items():
            if id(child) in found:
                found[id(child)].places.append((parent._modules, key))
    return list(found.values())


#: (registry of the parent, key, layer that goes there)
Place = tuple[dict[str, nn.Module | None], str, nn.Module]


@contextlib.contextmanager
def standing_in(places: Sequence[Place]) -> Iterator[None]:
    """While open, other layers are where `places` say."""
    own: list[nn.Module | None] = [holder[key] for holder, key, _ in places]
    for holder, key, layer in places:
        holder[key] = layer
    try:
        yield
    finally:
        for (holder, key, _), before in zip(places, own, strict=True):
            holder[key] = before
