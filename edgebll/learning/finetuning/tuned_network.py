"""A network as it is fine-tuned: what a tuning says is done to a copy of its layers, and the network remembers the tuning."""

from __future__ import annotations

import copy

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import NO_ADAPTER, FineTuning
from edgebll.learning.finetuning.adapting import adapted, adapted_layers
from edgebll.learning.finetuning.block_optimizers import check_numbers
from edgebll.learning.finetuning.freezing import frozen, frozen_parts
from edgebll.learning.networks.block_network import BlockNetwork


def fine_tuned(network: BlockNetwork, tuning: FineTuning, seed: int = 0) -> BlockNetwork:
    """The network as a tuning has it trained; `make_steps`, training and export take it as any other.

    Args:
        network: it; it is not changed.
        tuning: what is trained of it; with the default nothing is done.
        seed: decides what adapters begin with.

    Raises:
        ConfigError: a pattern means nothing of the network, nothing is left to train, no layer can be adapted, or the network
            follows another tuning already.

    Examples:
        >>> import edgebll
        >>> from edgebll.learning import FineTuning, fine_tuned, make_steps
        >>> network = edgebll.make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
        >>> tuned = fine_tuned(network, FineTuning(freeze=("block0",)))
        >>> [len(step.trained) for step in make_steps(tuned, edgebll.BLL(), edgebll.SGD(), batch_size=16)]
        [0, 5]
    """
    if not tuning or network.fine_tuning == tuning:
        return network
    if network.fine_tuning:
        raise ConfigError("the network is fine-tuned by another tuning already; begin with the network it was made from")
    result = frozen(network, frozen_parts(network, tuning))
    if tuning.adapter != NO_ADAPTER:
        result = adapted(result, adapted_layers(network, tuning), tuning, seed)
    if not any(parameter.requires_grad for parameter in result.parameters()):
        raise ConfigError("every parameter of the network is frozen, so nothing trains; leave at least one free")
    result = copy.copy(result) if result is network else result
    result.fine_tuning = tuning
    check_numbers(result)
    return result
