"""Freezing parts of a network: the same layers and tensors, of which some are not trained.

A frozen parameter is a constant of its block's graph. A layer with nothing left to train computes as in evaluation: a batch
norm by its running statistics, which stay, and without dropout.
"""

from __future__ import annotations

from collections.abc import Collection

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import HEAD, NO_ADAPTER, FineTuning
from edgebll.learning.finetuning.part_names import Part, matched, parts_of
from edgebll.learning.networks.block_network import BlockNetwork
from edgebll.learning.networks.network_copy import copied


def frozen_parts(network: BlockNetwork, tuning: FineTuning) -> list[Part]:
    """What a tuning freezes.

    Args:
        network: it.
        tuning: says what.

    Raises:
        ConfigError: a pattern means no parameter of the network, or it has none.
    """
    found = set(matched(network, tuning.freeze, "freeze"))
    parts = parts_of(network)
    if tuning.trainable == HEAD or tuning.adapter != NO_ADAPTER:
        free = [head_of(network)] if tuning.trainable == HEAD else []
        found |= {part for part in parts if part.is_parameter and not any(one.holds(part) for one in free)}
    return [part for part in parts if part in found]


def head_of(network: BlockNetwork) -> Part:
    """The last layer with parameters, which gives the class scores in a network that ends in a linear layer.

    Raises:
        ConfigError: there is none.
    """
    parts = [part for part in parts_of(network) if part.is_parameter]
    if not parts:
        raise ConfigError("the network has no parameters, so it has no head to train; end it in a layer that has some")
    part = parts[-1]
    return Part(part.block, part.path.split(".parametrizations.")[0].rpartition(".")[0], is_parameter=False)


def frozen(network: BlockNetwork, parts: Collection[Part]) -> BlockNetwork:
    """The network with these parts frozen; itself if there are none.

    Args:
        network: it; it is not changed.
        parts: of it.

    Raises:
        ConfigError: a block cannot be copied.
    """
    if not parts:
        return network
    own = [dict(block.named_parameters(remove_duplicate=False)) for block in network.blocks]
    weights = [own[part.block][part.path] for part in parts if part.is_parameter]
    paths = {(part.block, part.path) for part in parts}

    def settle(index: int, block: nn.Module) -> nn.Module:
        for path, layer in block.named_modules():
            inside = [name for name, _ in layer.named_parameters(path)]
            is_ours = (index, path) in paths or any((index, name) in paths for name in inside)
            if is_ours and not any(parameter.requires_grad for parameter in layer.parameters()):
                layer.eval()
        return block

    return copied(network, {id(w): nn.Parameter(w.detach(), requires_grad=False) for w in weights}, settle)
