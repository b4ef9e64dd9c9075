"""Putting adapters on layers of a network: a transformation of its blocks, before any rule sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import HEAD, FineTuning
from edgebll.kernel.support.bounds import WrongValue
from edgebll.learning.adapters.low_rank import LowRank
from edgebll.learning.finetuning.freezing import head_of
from edgebll.learning.finetuning.part_names import Part, matched
from edgebll.learning.modules.seeding import seeded
from edgebll.learning.networks.block_network import BlockNetwork
from edgebll.learning.networks.network_copy import copied

#: Blocks of a network at most, as seeds count.
_MOST_BLOCKS = 1 << 16
_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def adapted_layers(network: BlockNetwork, tuning: FineTuning) -> list[Part]:
    """The layers that a tuning puts adapters on.

    Args:
        network: before anything is done to it.
        tuning: with an adapter.

    Raises:
        ConfigError: there are none, or their weights have no such rank.
    """
    able = list(_adaptable(network))
    if not able:
        raise ConfigError(
            "the network has no linear layer or convolution to put an adapter on; freeze parts of it instead, without one"
        )
    chosen = able
    if tuning.adapt:
        wanted = set(matched(network, tuning.adapt, "adapt"))
        chosen = [part for part in able if part in wanted]
        if not chosen:
            shown = ", ".join(part.names[0] for part in able[:3])
            raise WrongValue(
                "adapt", f"{' '.join(tuning.adapt)!r} means no linear layer or convolution; the network has {shown}"
            )
    held = set(matched(network, tuning.freeze, "freeze"))
    if tuning.trainable == HEAD:
        held.add(head_of(network))
    left = [part for part in chosen if part not in held]
    if not left:
        raise ConfigError(
            "every layer that would have an adapter is frozen, or is the head, which is trained itself; name others"
        )
    _check_rank(network, left, tuning.rank)
    return left


def _check_rank(network: BlockNetwork, parts: Iterable[Part], rank: int) -> None:
    """A correction of low rank is there to be small: above the full rank of a weight, numbers add nothing but memory."""
    weights = [network.blocks[part.block].get_submodule(part.path).get_parameter("weight") for part in parts]
    full = max(min(weight.shape[0], weight[0].numel()) for weight in weights)
    if rank > full:
        raise WrongValue(
            "rank", f"adapters of rank {rank} correct weights whose full rank is {full} at most; take a smaller rank"
        )


def _adaptable(network: BlockNetwork) -> Iterator[Part]:
    """Linear layers and convolutions with a weight of their own, which nobody else reads."""
    for index, block in enumerate(network.blocks):
        read: dict[int, int] = {}
        for _, parameter in block.named_parameters(remove_duplicate=False):
            read[id(parameter)] = read.get(id(parameter), 0) + 1
        inside = {
            id(child) for layer in block.modules() if isinstance(layer, nn.MultiheadAttention) for child in layer.children()
        }
        for path, layer in block.named_modules():
            own = isinstance(layer, _LAYERS) and not is_parametrized(layer) and read.get(id(layer.weight)) == 1
            if own and id(layer) not in inside:
                yield Part(index, path, is_parameter=False)


def adapted(network: BlockNetwork, parts: Iterable[Part], tuning: FineTuning, seed: int) -> BlockNetwork:
    """The network with adapters on these layers; the rest is as it was.

    Args:
        network: it; it is not changed.
        parts: of it.
        tuning: says rank and alpha.
        seed: decides what they begin with.

    Raises:
        ConfigError: a block cannot be copied.
    """
    wanted = {(part.block, part.path) for part in parts}

    def adapt(index: int, block: nn.Module) -> nn.Module:
        root = nn.ModuleDict({"block": block})
        places = [(path, parent, key, layer) for path, parent, key, layer in _places(root) if (index, path) in wanted]
        with seeded(seed * _MOST_BLOCKS + index):
            for _, parent, key, layer in places:
                parent._modules[key] = LowRank(layer, tuning.rank, tuning.scale)  # type: ignore[arg-type]
        return root["block"]

    return copied(network, {}, adapt)


def _places(root: nn.ModuleDict) -> Iterator[tuple[str, nn.Module, str, nn.Module]]:
    """Path in the block, parent, key and layer of every module below `root`."""
    for path, parent in list(root.named_modules()):
        for key, layer in parent._modules.items():
            if layer is not None:
                whole = f"{path}.{key}" if path else key
                yield whole.removeprefix("block").removeprefix("."), parent, key, layer
