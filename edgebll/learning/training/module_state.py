"""Trained weights under the names of the user's own module, as `load_state_dict(strict=True)` takes them.

A block's state names its tensors "net." and the name in the block, the first of several, and leaves out what no step reads,
such as the counters of batch norms. A module's state_dict has every name of a tensor, and the counters.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.state.block_state import State
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.step import NET
from edgebll.learning.training.trained_network import TrainedNetwork, open_trained


def state_dict(
    path: str | os.PathLike[str], *, network: BlockNetwork | None = None, module: nn.Module | None = None
) -> dict[str, Tensor]:
    """The weights of a trained network under the keys of a module, for its `load_state_dict`.

    Auxiliary networks, feedback heads and what optimisers remember are left out: they belong to the training. Counters of batch
    norms (`num_batches_tracked`), which training steps do not keep, are the module's own.

    Args:
        path: a run folder of `train`, `simulate` or `run`, or a bundle.
        network: the network that was trained, where its code is in no file.
        module: the module whose keys are wanted, which holds the layers of the network's blocks; by default the one that the
            network was cut from, else the network itself, with keys "blocks.N.NAME".

    Returns:
        Every key of the module's state_dict with a tensor of its own.

    Raises:
        BundleError: there is neither a run nor a bundle, it is not whole, or its weights are not this network's.
        ConfigError: the network's code is not known here, it has other blocks, or the module does not hold their layers.
        MissingExtraError: torch is not installed.

    Examples:
        >>> import edgebll
        >>> network = edgebll.make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
        >>> network.load_state_dict(edgebll.state_dict("trained"), strict=True)
        <All keys matched successfully>
    """
    trained = open_trained(Path(path), network)
    if trained.without:
        raise ConfigError(f"{trained.without}, or give the network as network=")
    if trained.network is None:
        raise ConfigError(
            f"the network {trained.name!r} of {path} was made in Python and is in no file that it could be imported from, so "
            "its keys are not known here; give it as network="
        )
    return module_state(trained, trained.network, module)


def module_state(trained: TrainedNetwork, network: BlockNetwork, module: nn.Module | None = None) -> dict[str, Tensor]:
    """The trained weights under the keys of a module.

    Args:
        trained: the weights.
        network: whose blocks they are.
        module: as for `state_dict`.

    Raises:
        BundleError: a tensor is of another shape than the network's. ConfigError: the module does not hold the blocks' layers.
    """
    learnt: dict[int, Tensor] = {}
    names: dict[int, str] = {}
    for block, spec in zip(network.blocks, trained.blocks, strict=True):
        for name, own, value in _pairs(block, trained.weights(spec.name), f"{trained.path}: {spec.name}"):
            learnt[id(own)], names[id(own)] = value, f"{spec.name}'s {name!r}"
    owner = module or next(iter(network.cut_from), network)
    held = {id(value) for value in [*owner.parameters(), *owner.buffers()]}
    for tensor, name in names.items():
        if tensor not in held:
            raise ConfigError(f"the module does not hold {name}; give the module whose own layers the network's blocks hold")
    entries = owner.state_dict(keep_vars=True)
    return {key: learnt.get(id(own), own).detach().clone() for key, own in entries.items() if isinstance(own, Tensor)}


def _pairs(block: nn.Module, state: State, where: str) -> Iterator[tuple[str, Tensor, Tensor]]:
    """Name, own tensor and trained value of everything in a block that its weights have.

    Raises:
        BundleError: the weights lack a tensor that is learnt, or one is of another shape or dtype.
    """
    learns = {name for name, value in block.named_parameters() if value.requires_grad}
    for name, own in [*block.named_parameters(), *block.named_buffers()]:
        if NET + name not in state:
            if name in learns:
                raise BundleError(f"{where} has no weights for {name!r} of this network; give the network that was trained")
            continue
        value = torch.from_numpy(state[NET + name].copy())
        if value.shape != own.shape or value.dtype != own.dtype:
            raise BundleError(
                f"{where} has {name!r} as {value.dtype} {list(value.shape)}, and this network has it as {own.dtype} "
                f"{list(own.shape)}; give the network that was trained"
            )
        yield name, own, value


def plain_state(states: Mapping[str, State]) -> dict[str, Tensor]:
    """Weights under the keys of a BlockNetwork, by names alone: what a state leaves out is not there.

    Args:
        states: block name -> its weights, in stream order, see `TrainedNetwork.weights`.
    """
    return {
        f"blocks.{index}.{name.removeprefix(NET)}": torch.from_numpy(value.copy())
        for index, state in enumerate(states.values())
        for name, value in state.items()
        if name.startswith(NET)
    }
