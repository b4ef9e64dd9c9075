"""The last units of a block, which the next block computes again so that its error reaches into them."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.modules.pure_module import PureModule
from edgebll.learning.modules.seeding import seeded
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.step import NET
from edgebll.learning.step_tensors import tensor_spec

#: What the last units begin with, as it is sent.
ENTRY = "entry"
Tensors = Mapping[str, Tensor]


class Tail:
    """The last units of a block as their owner sends them and the next block computes them again.

    Args:
        network: whose units are the parts of its nn.Sequential blocks; any other block counts as one unit.
        index: the block.
        length: how many units, at most all of the block.

    Attributes:
        owner: the block's name.
        front: the units before the last ones, as a function of the block's state tensors.
        units: the last units, as a function of the block's state tensors.
        again: the last ones as the next block computes them, without running statistics, which are the owner's alone.
        names: of the state tensors that are sent: all of `again`.

    Raises:
        ConfigError: the last units have nothing to learn, or not in float32.
    """

    def __init__(self, network: BlockNetwork, index: int, length: int) -> None:
        block = network.blocks[index]
        self.owner = f"block{index}"
        # By _modules: a layer that stands twice in a block is one child.
        children = list(block._modules.items()) if isinstance(block, nn.Sequential) else []
        start = max(0, len(children) - length)
        last = nn.Sequential(OrderedDict(children[start:])) if children else block
        with seeded(index):
            self.front = PureModule(nn.Sequential(OrderedDict(children[:start])), NET)
            self.units, self.again = PureModule(last, NET), PureModule(_without_statistics(last), NET)
        _check_apart(self.owner, self.front, self.units)
        with torch.no_grad(), self.front.on(self.front.initial, train=False) as front:
            entry = front(network.inputs_of(index).first(2))
        self._entry = tensor_spec(ENTRY, entry)
        self.names = list(self.again.initial)
        self._shapes = [value.shape for value in self.again.initial.values()]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        if not self.again.trained or any(value.dtype != torch.float32 for value in self.again.initial.values()):
            raise ConfigError(
                f"backlink needs something to learn in float32 in the last {length} units of {self.owner}; let some of them "
                "train, choose another length, or use greedy, which links no blocks"
            )

    def entry_spec(self, name: str, batch_size: int) -> TensorSpec:
        """What the last units begin with; where that is the network's own input, of its dtype."""
        return replace(self._entry, name=name, shape=(batch_size, *self._entry.shape[1:]))

    @property
    def size(self) -> int:
        """Elements of the vector that is sent."""
        return sum(self._sizes)

    def packed(self, tensors: Tensors) -> Tensor:
        """The tensors `names`, of which there must be one at least, as one vector; zeros for those that are missing."""
        like = next(tensors[name] for name in self.names if name in tensors)
        pairs = zip(self.names, self._shapes, strict=True)
        return torch.cat([(tensors[n] if n in tensors else like.new_zeros(shape)).flatten() for n, shape in pairs])

    def unpacked(self, vector: Tensor) -> dict[str, Tensor]:
        """The tensors of a vector, by name."""
        parts = zip(self.names, self._shapes, torch.split(vector, self._sizes), strict=True)
        return {name: part.reshape(shape) for name, shape, part in parts}


def _check_apart(owner: str, front: PureModule, units: PureModule) -> None:
    shared = {id(value) for value in front.own.values()} & {id(value) for value in units.own.values()}
    if shared:
        name = next(name for name, value in units.own.items() if id(value) in shared)
        raise ConfigError(
            f"backlink sends the last units of {owner} to the next block, but {name.removeprefix(NET)!r} there is shared with "
            "the units before; choose another length"
        )


def _without_statistics(module: nn.Module) -> nn.Module:
    """A copy whose batch norms keep no running statistics, but for frozen ones, which compute by them."""
    module = copy.deepcopy(module)
    for child in module.modules():
        if isinstance(child, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) and child.training:
            child.track_running_stats = False
            child.running_mean = child.running_var = child.num_batches_tracked = None
    return module
