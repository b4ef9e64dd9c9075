"""The optimiser of each block of a network whose tuning gives some parameters another learning rate or weight decay."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

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
    trained = [_first_names(block) for block in network.blocks]
    found: Numbers = [{} for _ in network.blocks]
    for pattern, number in patterns.items():
        parts = [part for part in matched(network, [pattern], option) if part.is_parameter]
        names = [(part.block, trained[part.block][part.path]) for part in parts if part.path in trained[part.block]]
        if not names:
            raise WrongValue(option, f"{pattern!r} means only what is frozen; leave it out, or let some of it train")
        for block, name in names:
            found[block][_NET + name] = number
    return found


def _first_names(block: nn.Module) -> dict[str, str]:
    """Every name of each parameter that trains -> its first, which the state has it by: tied weights have several."""
    first: dict[int, str] = {}
    named = [(name, value) for name, value in block.named_parameters(remove_duplicate=False) if value.requires_grad]
    return {name: first.setdefault(id(value), name) for name, value in named}
