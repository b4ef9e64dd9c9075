"""The first layer of a block, as its owner lends it to the block before: a few of its parameters with every training step."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.heads import shape_after
from edgebll.learning.networks import BlockNetwork

Tensors = Mapping[str, Tensor]


class FirstLayer:
    """The layers of a block up to the first that has something to learn, e.g. its first residual block.

    Its parameters as one vector are cut into rows, one of which travels with each training step, so that each parameter does
    once in `period` steps. A message is the number of its row, counted from 1, and the row; one of zeros carries nothing.

    Args:
        network: whose block it is.
        index: the block.
        period: training steps in which all parameters travel once.

    Attributes:
        owner: the block's name.
        layer: a copy of the layer as it is now.
        output_shape: of one sample of what it makes of the block's input.
        names: of its parameters, as within the block.
        message_size: elements of a message.

    Raises:
        ConfigError: the block is no nn.Sequential and no single layer, or has nothing to learn in float32.
    """

    def __init__(self, network: BlockNetwork, index: int, period: int) -> None:
        self.owner = f"block{index}"
        self.layer = copy.deepcopy(_found(network.blocks[index], self.owner))
        self.output_shape = shape_after(copy.deepcopy(self.layer), network.shapes[index])
        learnt = {name: value for name, value in self.layer.named_parameters() if value.requires_grad}
        if any(value.dtype != torch.float32 for value in learnt.values()):
            raise ConfigError(f"man needs float32 in the first layer of {self.owner}; convert it by .float(), or use dgl")
        self.names = tuple(learnt)
        self._shapes = [value.shape for value in learnt.values()]
        self._sizes = [value.numel() for value in learnt.values()]
        self._width = math.ceil(sum(self._sizes) / period)
        self._rows = math.ceil(sum(self._sizes) / self._width)
        self.message_size = 1 + self._width

    def message(self, parameters: Tensors, row: Tensor) -> Tensor:
        """What travels with one step.

        Args:
            parameters: by the names within the block.
            row: which of the `period` rows it is, 0-d float; beyond the last one nothing travels.
        """
        table = self._table(parameters)
        chosen = torch.where(self._places(table) == row, table, torch.zeros_like(table)).sum(0)
        return torch.cat([row.reshape(1) + 1.0, chosen])

    def averaged(self, average: Tensors, message: Tensor, momentum: float) -> dict[str, Tensor]:
        """The moving average momentum E + (1 - momentum) theta, where the message has parameters; elsewhere E.

        Args:
            average: E, by the names within the block.
            message: as it came, of shape (message_size,).
            momentum: share of E that stays.
        """
        table = self._table(average)
        renewed = momentum * table + (1.0 - momentum) * message[1:]
        flat = torch.where(self._places(table) == message[0] - 1.0, renewed, table).flatten()
        parts = torch.split(flat[: sum(self._sizes)], self._sizes)
        return {name: part.reshape(shape) for name, part, shape in zip(self.names, parts, self._shapes, strict=True)}

    def _table(self, tensors: Tensors) -> Tensor:
        """The parameters as rows of equal width, the last one filled up with zeros."""
        vector = torch.cat([tensors[name].flatten() for name in self.names])
        spare = self._rows * self._width - sum(self._sizes)
        filled = torch.cat([vector, vector.new_zeros(spare)]) if spare else vector
        return filled.reshape(self._rows, self._width)

    def _places(self, table: Tensor) -> Tensor:
        """Numbers of the rows, (rows, 1)."""
        return torch.arange(self._rows, dtype=table.dtype, device=table.device).unsqueeze(1)


def check_trains(block: nn.Module, owner: str) -> None:
    """Refuse a block that is frozen, and neither needs a borrowed layer nor has one that moves.

    Raises:
        ConfigError: it is.
    """
    if not any(value.requires_grad for value in block.parameters()):
        raise ConfigError(
            f"nothing in {owner} trains, but under man blocks borrow each other's first layers; let some train, or use dgl"
        )


def _found(block: nn.Module, owner: str) -> nn.Module:
    """The layers, still the block's own, under their names there."""
    check_trains(block, owner)
    # By _modules: a layer that stands twice in a block is one child.
    children = [(name, child) for name, child in block._modules.items() if child is not None]
    if not children:
        return block
    if not isinstance(block, nn.Sequential) or type(block).forward is not nn.Sequential.forward:
        raise ConfigError(
            f"man lends the first layer of {owner} to the block before, and finds it in an nn.Sequential or a single layer, "
            f"not in a {type(block).__name__}; cut the network into such blocks, or use dgl"
        )
    trains = [any(value.requires_grad for value in child.parameters()) for _, child in children]
    return nn.Sequential(OrderedDict(children[: trains.index(True) + 1]))
