"""What a configuration describes: the network, the rule, the optimiser and the training steps they make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.kernel.spec.side_inputs import carrying
from edgebll.learning import BlockStep, Optimizer, Rule, fine_tuned, make_steps
from edgebll.learning.finetuning.savings import savings
from edgebll.learning.modules.constant_tensors import constant_tensors
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.network_copy import with_constants
from edgebll.learning.networks.pretrained_weights import WeightsMisfitError, load_weights
from edgebll.learning.training.config import RunRecord
from edgebll.learning.training.run_constants import load_constants


@dataclass(frozen=True)
class Model:
    """What a config describes: network, rule, optimiser and the training steps they make.

    Attributes:
        plain: the network before it is fine-tuned.
        network: as it is trained.
        rule: what its blocks learn by.
        optimizer: of all blocks.
        steps: one for each block.
    """

    plain: BlockNetwork
    network: BlockNetwork
    rule: Rule
    optimizer: Optimizer
    steps: list[BlockStep]

    def savings(self) -> str:
        """What fine-tuning saves, see `edgebll.learning.finetuning.savings`."""
        first = self.steps[0]
        size, precision = first.spec.input.shape[0], first.precision.name
        return savings(make_steps(self.plain, self.rule, self.optimizer, size, precision), self.steps)

    @property
    def edges(self) -> tuple[EdgeSpec, ...]:
        """All streams between the blocks."""
        return carrying(self.rule.edges([step.name for step in self.steps]), [step.spec for step in self.steps])


def rebuild_model(record: RunRecord, run: Path) -> Model:
    """Build what a run trains, or trained, with what it keeps of it as frozen.

    Args:
        record: of the run.
        run: its folder.

    Raises:
        ConfigError: as `build_model`.
        BundleError: what is frozen in it is not whole.
    """
    return build_model(record, run=run)


def new_model(record: RunRecord, listener: Listener) -> Model:
    """Build what a run is to train from its beginning: with the weights of a file, where it is told one.

    Args:
        record: of the run.
        listener: is told what the network begins with, and what of the file does not fit.

    Raises:
        ConfigError: as `build_model`, or the weights are not the network's.
    """
    plain, weights = _plain_network(record), record.config.weights
    if weights.file:
        try:
            listener.noted(load_weights(plain, weights))
        except WeightsMisfitError as error:
            for row in error.table:
                listener.said(row)
            raise
    return build_model(record, plain=plain)


def build_model(record: RunRecord, *, plain: BlockNetwork | None = None, run: Path | None = None) -> Model:
    """Build the network with its seeded weights, and its training steps.

    Args:
        record: what is described.
        plain: the network before it is fine-tuned, where it is there already.
        run: the run that has kept what is frozen in it; None for a new one.

    Raises:
        ConfigError: unknown task, network, rule or optimiser, wrong options, or more blocks than the network can be cut into.
        BundleError: what the run has kept is not whole.
    """
    config = record.config
    plain = plain or _plain_network(record)
    network = fine_tuned(plain, config.fine_tuning, config.seed)
    if run is not None and any(map(constant_tensors, network.blocks)):
        network = with_constants(network, load_constants(run), "the run")
    rule = config.make_rule()
    optimizer = config.make_optimizer()
    steps = make_steps(network, rule, optimizer, config.batch_size, config.precision, config.last_batch)
    return Model(plain, network, rule, optimizer, steps)


def _plain_network(record: RunRecord) -> BlockNetwork:
    config = record.config
    return make_network(
        config.network,
        num_blocks=config.blocks,
        split=config.split,
        options=config.network_options,
        num_classes=record.num_classes,
        task=record.task,
        outputs=record.outputs,
        input_shape=record.input_shape,
        side_inputs=record.side_inputs,
        seed=config.seed,
        recorded=config.code.get("network"),
    )
