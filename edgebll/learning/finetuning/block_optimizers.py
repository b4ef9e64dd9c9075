"""The optimiser of each block of a network whose tuning gives some parameters another learning rate or weight decay."""

from __future__ import annotations

from collections.abc import Mapping

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import WrongValue
from edgebll.learning.finetuning.part_names import matched
from edgebll.learning.networks.block_network import BlockNetwork
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.optimizers.parameter_groups import ParameterGroups

_NET = "net."
#: For each block: name of a state tensor -> number.
Numbers = list[dict[str, float]]


def block_optimizers(network: BlockNetwork, optimizer: Optimizer) -> list[Optimizer]:
    """The optimiser of each block.

    Args:
        network: whose tuning is followed; auxiliary networks descend as the optimiser does.
        optimizer: of all of them.

    Raises:
        ConfigError: a pattern means nothing that trains, or the optimiser has no weight decay.
    """
    tuning = network.fine_tuning
    if tuning.decay_for and not hasattr(optimizer, "weight_decay"):
        raise ConfigError(f"the optimizer {optimizer.name} has no weight decay that decay_for could change; leave it out")
    rates, decays = _numbers(network, tuning.lr_for, "lr_for"), _numbers(network, tuning.decay_for, "decay_for")
    return [ParameterGroups.of(optimizer, *pair) for pair in zip(rates, decays, strict=True)]


def check_numbers(network: BlockNetwork) -> None:
    """Raise ConfigError if a pattern of the network's tuning means nothing that trains."""
    for option in ("lr_for", "decay_for"):
        _numbers(network, getattr(network.fine_tuning, option), option)


def _numbers(network: BlockNetwork, patterns: Mapping[str, float], option: str) -> Numbers:
    """The number of each parameter; where several patterns mean one, the last counts."""
    trained = [{name for name, p in block.named_parameters() if p.requires_grad} for block in network.blocks]
    found: Numbers = [{} for _ in network.blocks]
    for pattern, number in patterns.items():
        parts = [part for part in matched(network, [pattern], option) if part.path in trained[part.block] and part.is_parameter]
        if not parts:
            raise WrongValue(option, f"{pattern!r} means only what is frozen; leave it out, or let some of it train")
        for part in parts:
            found[part.block][_NET + part.path] = number
    return found
