"""A network of copied layers that hold the very tensors of another one, but for some: so the user's own is never changed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.own_code.error_place import described
from edgebll.learning.modules.constant_tensors import constant_tensors
from edgebll.learning.networks.block_network import BlockNetwork

#: What a step's names of a block's tensors begin with.
_NET = "net."


def copied(
    network: BlockNetwork, replaced: Mapping[int, Any], changed: Callable[[int, nn.Module], nn.Module] | None = None
) -> BlockNetwork:
    """The network with other layers; its tensors are the same objects, with their hooks.

    Args:
        network: it; it is not changed.
        replaced: id of a tensor (or module) of it -> what takes its place.
        changed: may change the copy of each block, given its index, and returns the block to take.

    Raises:
        ConfigError: a block holds something that Python cannot copy.
    """
    memo: dict[int, Any] = {id(tensor): tensor for tensor in (*network.parameters(), *network.buffers())}
    memo |= replaced
    blocks = []
    for index, block in enumerate(network.blocks):
        try:
            made = copy.deepcopy(block, memo)
        except Exception as error:  # anything can happen in a module of the user's own
            raise ConfigError(
                f"block{index} cannot be copied, as it must be where parts of it are frozen or have adapters "
                f"({described(error)}); keep open files, locks and generators out of its attributes"
            ) from error
        blocks.append(made if changed is None else changed(index, made))
    result = copy.copy(network)
    result._modules = {**network._modules, "blocks": nn.ModuleList(blocks)}
    return result


def with_constants(network: BlockNetwork, values: Mapping[str, Mapping[str, Tensor]], where: str) -> BlockNetwork:
    """The network with other values of what is frozen in it.

    Args:
        network: it; it is not changed.
        values: block name -> tensors by the step's names, "net.0.weight"; what is not frozen, and further names, do not count,
            and what is missing stays as it is.
        where: where the values come from, for messages.

    Raises:
        BundleError: a value has another shape or dtype than the network's.
    """
    replaced: dict[int, Any] = {}
    for index, block in enumerate(network.blocks):
        given = values.get(f"block{index}", {})
        for name, own in constant_tensors(block).items():
            value = given.get(_NET + name)
            if value is None:
                continue
            if value.shape != own.shape or value.dtype != own.dtype:
                raise BundleError(
                    f"{where}: {name!r} of block{index} is {value.dtype} {tuple(value.shape)}, but the network has "
                    f"{own.dtype} {tuple(own.shape)}; it belongs to another network"
                )
            replaced[id(own)] = nn.Parameter(value, requires_grad=False) if isinstance(own, nn.Parameter) else value
    return copied(network, replaced) if replaced else network
