"""What a configuration describes: the network, the rule, the optimiser and the training steps they make."""

from __future__ import annotations

from dataclasses import dataclass

from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning import BlockStep, Optimizer, Rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.training.config import RunRecord


@dataclass(frozen=True)
class Model:
    """What a config describes: network, rule, optimiser and the training steps they make."""

    network: BlockNetwork
    rule: Rule
    optimizer: Optimizer
    steps: list[BlockStep]

    @property
    def edges(self) -> tuple[EdgeSpec, ...]:
        """All streams between the blocks."""
        return self.rule.edges([step.name for step in self.steps])


def build_model(record: RunRecord) -> Model:
    """Build the network with its seeded weights, and its training steps.

    Raises:
        ConfigError: unknown network, rule or optimiser, wrong options, or more blocks than the network can be cut into.
    """
    config = record.config
    network = make_network(
        config.network,
        num_blocks=config.blocks,
        split=config.split,
        options=config.network_options,
        num_classes=record.num_classes,
        input_shape=record.input_shape,
        seed=config.seed,
        recorded=config.code.get("network"),
    )
    rule = config.make_rule()
    optimizer = config.make_optimizer()
    return Model(network, rule, optimizer, make_steps(network, rule, optimizer, config.batch_size, config.precision))
