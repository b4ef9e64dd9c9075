"""A block of a spiking network that learns online: in training its outputs have the gradients of traces behind them.

In evaluation mode it computes what the block does.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from edgebll.learning.online.layers import OnlineLayer, read_layers
from edgebll.learning.online.passing import Carried, Judged, Passing


class OnlineBlock(nn.Module):
    """A block that learns online; its tensors have the block's names.

    Args:
        block: of layers and neurons one after another; never changed.
        layers: of it, see `read_layers`.
        steps: time steps of a chunk.
        passing: how they are gone through.
        carried: of each layer, what it starts from at the first chunk, all zero; None where samples are taken whole.
    """

    def __init__(
        self,
        block: nn.Module,
        layers: Sequence[OnlineLayer],
        steps: int,
        passing: Passing,
        carried: Sequence[Carried] | None = None,
    ) -> None:
        super().__init__()
        for name, child in block.named_children():
            self.add_module(name, child)
        self.train(block.training)
        self._layers, self._steps, self._passing = tuple(layers), steps, passing
        self._carries = carried is not None
        for index, own in enumerate(carried or ()):
            for name, value in own.items():
                self.register_buffer(_buffer(index, name), value)

    def forward(self, x: Tensor) -> Tensor | tuple[Judged | Tensor, ...]:
        """In evaluation mode what the block gives for x (B, ...).

        In training what losses see of each layer, and behind it what comes out of the last.
        """
        if not self.training:
            for child in self.children():
                x = child(x)
            return x
        seen = list[Judged]()
        for index, layer in enumerate(self._layers):
            with torch.no_grad():
                before = self._carried(index) if self._carries else None
            x, judged, after = self._passing.run(layer, x.detach(), self._steps, before)
            if self._carries:
                self._carry(index, after)
            seen.append(judged)
        return (*seen, x)

    def carried(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers that carry something from chunk to chunk, by name."""
        return ((name, value) for name, value in self._buffers.items() if value is not None)

    def _carried(self, index: int) -> Carried:
        prefix = _buffer(index, "")
        return {name.removeprefix(prefix): value for name, value in self.carried() if name.startswith(prefix)}

    def _carry(self, index: int, after: Carried) -> None:
        with torch.no_grad():
            for name, value in after.items():
                self.get_buffer(_buffer(index, name)).copy_(value)


def _buffer(index: int, name: str) -> str:
    return f"carried{index}_{name}"


def carried_at_rest(block: nn.Module, rule: str, passing: Passing, x: Tensor) -> list[Carried]:
    """What each layer of a block carries before the first step of samples: zeros.

    Args:
        block: of layers and neurons one after another.
        rule: its name, for messages.
        passing: how its layers are gone through.
        x: of one time step (B, ...), or samples without time; their numbers are not read.
    """
    layers, found = read_layers(copy.deepcopy(block).eval(), rule)[0], list[Carried]()
    with torch.no_grad():
        for layer in layers:
            current = x
            for weight in layer.weights:
                current = weight(current)
            found.append(passing.at_rest(layer, x, current))
            x = current
    return found
