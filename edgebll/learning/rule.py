"""What a learning rule is: for each block an objective, and the edges its streams run along.

A new rule is one class: subclass `Rule` (a frozen dataclass of its options) and return an `Objective` for each block. It is
named by where it is, FILE.py:NAME or MODULE:NAME; those of edgebll are in `edgebll.learning.rules.RULES`. Trainer, export and
boards need no change: they only see the step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec
from edgebll.kernel.spec.last_batch import DROP, MASK, check_last_batch
from edgebll.kernel.support.bounds import COUNT, check_whole_options
from edgebll.kernel.tasks import Task
from edgebll.learning.allocation import telling_of_memory
from edgebll.learning.finetuning.block_optimizers import block_optimizers
from edgebll.learning.folded import Folded, folded_shape
from edgebll.learning.forward_step import ForwardStep, has_something_to_train, served_streams
from edgebll.learning.handed_on import block_precisions
from edgebll.learning.masked_batches import mask_batches
from edgebll.learning.modules.hidden_layers import check_hidden
from edgebll.learning.modules.module_checks import check_copied
from edgebll.learning.modules.seeding import seeded
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.objective import BlockPlace, Objective, PredictiveObjective, smoothed
from edgebll.learning.optimizers.optimizer import Optimizer
from edgebll.learning.per_pixel import per_pixel
from edgebll.learning.per_position import PerPosition
from edgebll.learning.precision import Precision, make_precision
from edgebll.learning.rates import RateReadout, at_rates
from edgebll.learning.step import BlockStep


@dataclass(frozen=True)
class Rule:
    """Base of all rules; a subclass's fields are its options.

    Attributes:
        label_smoothing: e of the smoothed target (1 - e) y + e / C of every cross-entropy.
        name: as in RULES; by default the class's, in lower case.
        summary: one line; by default the first of the class's docstring.
        equation: the loss of a block but the last, with a its output and y the labels; by default it is not told.
        one_block: whether the error crosses the whole network, which then cannot be cut.
        spiking: whether it trains spiking networks alone.
        inner_only: whether its options but the label smoothing are of blocks that have one behind them, so of none where a
            network is one block.
        whole_sequences: whether objectives take sequences whole; otherwise each position is a sample to them.

    Raises:
        ConfigError: an option is out of range.
    """

    label_smoothing: float = field(default=0.0, kw_only=True)

    name: ClassVar[str]
    summary: ClassVar[str]
    equation: ClassVar[str] = ""
    one_block: ClassVar[bool] = False
    whole_sequences: ClassVar[bool] = False
    spiking: ClassVar[bool] = False
    inner_only: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if not hasattr(cls, "name"):
            cls.name = cls.__name__.lower()
        if not hasattr(cls, "summary"):
            cls.summary = (cls.__doc__ or "").strip().partition("\n")[0]

    def __post_init__(self) -> None:
        check_whole_options(self.name, self)
        if not 0 <= self.label_smoothing < 1:
            raise ConfigError(f"the label smoothing must lie in [0, 1), but is {self.label_smoothing}")

    def options(self) -> dict[str, Any]:
        """All options by name."""
        return asdict(self)

    def check(self, num_blocks: int) -> None:
        """Raise ConfigError if the rule cannot train a network of so many blocks."""
        if self.one_block and num_blocks != 1:
            raise ConfigError(f"{self.name} trains one block, not {num_blocks}; use --blocks 1 or a local rule such as bll")

    def check_task(self, task: Task) -> None:
        """Raise ConfigError if the rule cannot train networks for the task; by default it takes all."""

    def prepare(self, block: nn.Module, place: BlockPlace) -> nn.Module:
        """The module that is trained as the block: by default the block itself, which must not be changed.

        It has the block's tensors under the same names and may have others, drawn from PyTorch's generator, which is seeded;
        in evaluation mode it computes what the block does.
        """
        return block

    def objective(self, place: BlockPlace) -> Objective:
        """The objective of one block: at the last one the task's loss of its own output."""
        if place.is_last:
            return PredictiveObjective(nn.Identity, self.label_smoothing, place)
        return self.local_objective(place)

    def local_objective(self, place: BlockPlace) -> Objective:
        """The objective of a block that is not the last one."""
        raise NotImplementedError

    def time_weights(self, steps: int) -> tuple[float, ...]:
        """How much each of T time steps of a spiking block's output counts in the rates that objectives see; empty: alike.

        Args:
            steps: T.
        """
        return ()

    def make_step(
        self, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
    ) -> BlockStep:
        """The training step of block `index`; a rule that needs more than an objective returns a subclass of BlockStep."""
        return block_step(self, network, index, optimizer, batch_size, precision)

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        """All streams: by default the chain alone, activations and labels from the host through all blocks.

        A rule whose blocks send each other more adds side streams: see `edgebll.kernel.spec.edge_check.EdgeSpec`.
        """
        ends = [HOST, *blocks]
        names = [("x", "y"), *[("a", "y")] * (len(blocks) - 1)]
        return tuple(EdgeSpec(s, t, n) for s, t, n in zip(ends, blocks, names, strict=False))


def make_steps(
    network: BlockNetwork,
    rule: Rule,
    optimizer: Optimizer,
    batch_size: int,
    precision: str = "float32",
    last_batch: str = DROP,
) -> list[BlockStep]:
    """The steps of all blocks of a network under a rule.

    Args:
        network: whose blocks they train.
        rule: gives each block its local loss.
        optimizer: updates all of them.
        batch_size: samples of every batch; the exported graphs are static.
        precision: one of PRECISIONS.
        last_batch: "mask" for steps that are told how many samples of a batch count, see `edgebll.learning.masked_batches`.

    Raises:
        ConfigError: the rule cannot train so many blocks or for this task, unknown precision, batch_size < 1, all of the
            network is frozen, or it keeps layers in plain lists.

    Examples:
        >>> import edgebll
        >>> from edgebll.learning import make_steps
        >>> network = edgebll.make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
        >>> steps = make_steps(network, edgebll.BLL(), edgebll.SGD(), batch_size=16)
        >>> [(step.name, step.spec.output.shape) for step in steps]
        [('block0', (16, 256)), ('block1', (16, 10))]
    """
    COUNT.check("the batch size", batch_size)
    check_last_batch(last_batch)
    rule.check(len(network.blocks))
    rule.check_task(smoothed(network.task, rule.label_smoothing))
    for index, block in enumerate(network.blocks):
        check_hidden(f"block{index}", block)
    if not any(map(has_something_to_train, network.blocks)):
        raise ConfigError("every parameter of the network is frozen, so there is nothing to train; leave at least one free")
    numbers = block_precisions(network, make_precision(precision))
    optimizers = block_optimizers(network, optimizer)
    with telling_of_memory(f"{rule.name} on batches of {batch_size}", "the batch size, or options of the rule and the network"):
        steps = [
            rule.make_step(network, index, own, batch_size, number)
            for index, (own, number) in enumerate(zip(optimizers, numbers, strict=True))
        ]
    if last_batch == MASK:
        mask_batches(steps)
    return steps


def block_step(
    rule: Rule, network: BlockNetwork, index: int, optimizer: Optimizer, batch_size: int, precision: Precision
) -> BlockStep:
    """The step of one block of a network that is made of the rule's module and objective alone."""
    place = BlockPlace.of(network, index)
    with seeded(index):
        module = rule.prepare(network.blocks[index], place)
    if module is not network.blocks[index]:
        check_copied(network.blocks[index], rule.name)
    objective, inputs = objective_of(rule, place), network.inputs_of(index)
    if has_something_to_train(module):
        return BlockStep(module, objective, optimizer, place, inputs, batch_size, precision)
    streams = served_streams(objective, inputs.first(batch_size))
    return ForwardStep(module, streams, optimizer, place, inputs, batch_size, precision)


def objective_of(rule: Rule, place: BlockPlace) -> Objective:
    """The rule's objective at a place: for each position of a sequence if labels are (B, T, C), and with axes folded.

    Of blocks that give their output over time it sees the mean, see `edgebll.learning.rates`.
    Where each pixel has a label, so does each point of a block's map; the last block's own pixels are judged as they are.

    Raises:
        ConfigError: the rule does not fit the place, or the block's output has nothing for each position.
    """
    if place.time_steps and not place.is_last:
        return RateReadout(objective_of(rule, at_rates(place)), place.index == 0, rule.time_weights(place.time_steps))
    if rule.whole_sequences or (place.is_last and place.task.per_pixel):
        return rule.objective(place)
    if place.task.per_pixel:
        return per_pixel(rule.objective, place)
    if not place.positions:
        return _folded(rule, place)
    if len(place.output_shape) < 2 or place.output_shape[0] != place.positions:
        raise ConfigError(
            f"block{place.index} must give features for each of {place.positions} positions, because each has a label, but its "
            f"output has the shape {place.output_shape}"
        )
    shapes = (*place.shapes[:1], *(shape[1:] for shape in place.shapes[1:]))
    inside = replace(place, output_shape=place.output_shape[1:], positions=0, shapes=shapes, outputs=place.outputs[1:])
    return PerPosition(_folded(rule, inside), place.positions)


def _folded(rule: Rule, place: BlockPlace) -> Objective:
    shape = folded_shape(place.output_shape)
    inner = rule.objective(replace(place, output_shape=shape))
    return inner if shape == place.output_shape else Folded(inner)
