"""What a block's local loss is: its place in the network, its auxiliary network, its feedback head."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.kernel.tasks import CLASSIFICATION, ClassTask, Task
from edgebll.learning.networks import BlockNetwork, PlacedUnit

Tensors = Mapping[str, Tensor]
#: A mean over nothing is 0, not NaN.
TINY = 1e-12
#: A network on its current state: its inputs to what its forward returns.
Head = Callable[..., Any]


@dataclass(frozen=True)
class BlockPlace:
    """Where an objective stands: block `index` of `num_blocks`, its sample output shape, and what the network is for.

    Attributes:
        num_classes: C, numbers that an auxiliary network gives for the task: for classification one for each class.
        num_units: units of the network up to the block's end; 0 if the network does not know its units.
        later_units: those after it, in order.
        positions: T where each of T positions of a sequence has a label; 0 where a sample has one.
        shapes: of one sample of the network's input and of the output of each of its blocks.
        task: what the network is for.
        outputs: of one sample, what the task judges; empty for (C,).
        time_steps: T where blocks give (B, T, ...), see `BlockNetwork`; 0 to objectives that see rates.
        rate_over: T to objectives that see rates, which are counted over so many time steps; else 0.
    """

    index: int
    num_blocks: int
    output_shape: tuple[int, ...]
    num_classes: int
    num_units: int = 0
    later_units: tuple[PlacedUnit, ...] = ()
    positions: int = 0
    shapes: tuple[tuple[int, ...], ...] = ()
    task: Task = CLASSIFICATION
    outputs: tuple[int, ...] = ()
    time_steps: int = 0
    rate_over: int = 0

    @property
    def is_last(self) -> bool:
        """Whether this is the block whose output the task judges."""
        return self.index == self.num_blocks - 1

    def target(self, batch_size: int) -> TensorSpec:
        """Spec of a batch of targets y: for classification (B, C) or (B, T, C)."""
        dtype, shape = self.task.target(self.outputs or (self.num_classes,))
        return TensorSpec("y", dtype, (batch_size, *shape))

    def loss(self, numbers: Tensor, y: Tensor, label_smoothing: float = 0.0, weight: Tensor | None = None) -> Tensor:
        """The task's loss of what an auxiliary network, or the last block, gives.

        Args:
            numbers: (B, C), or the task's outputs as they are.
            y: targets (B, ...).
            label_smoothing: of the rule, for tasks of classes.
            weight: of each sample (B,), see `Objective.weighted`; None for 1.

        Raises:
            ConfigError: smoothing is asked of a task without classes.
        """
        outputs = (len(numbers), *(self.outputs or (self.num_classes,)))
        given = numbers if numbers.shape == outputs else numbers.reshape(outputs)
        loss: Tensor = smoothed(self.task, label_smoothing).loss(given, y, weight)
        return loss

    def labelled(self, y: Tensor, weight: Tensor | None = None) -> Tensor | None:
        """How much each sample counts in what is made of targets besides the task's own loss, (B,); None where each counts 1.

        That is how much of it has a label: a share of the pixels that a point of a map covers, 1 or 0 of a sample. Of tasks
        without classes, samples of no weight do not count.

        Args:
            y: targets (B, ...).
            weight: of each sample besides (B,), see `Objective.weighted`; None for 1.
        """
        if isinstance(self.task, ClassTask):
            known = y.sum(1) if self.task.has_blanks else None
        else:
            weights = self.task.weights(y)
            known = None if weights is None else (weights > 0).to(y.dtype)
        if known is None or weight is None:
            return known if weight is None else weight
        return known * weight

    @classmethod
    def of(cls, network: BlockNetwork, index: int) -> BlockPlace:
        """The place of block `index` of a network."""
        units = network.placed_units
        later = tuple(unit for own in units[index + 1 :] for unit in own)
        num_units = sum(map(len, units[: index + 1]))
        task, outputs = network.task, network.shapes[-1]
        positions = outputs[0] if task.by_position and len(outputs) > 1 else 0
        shape, shapes = network.shapes[index + 1], tuple(network.shapes)
        numbers = task.num_outputs(outputs)
        place = cls(index, len(network.blocks), shape, numbers, num_units, later, positions, shapes, task, outputs)
        return replace(place, time_steps=network.time_steps)


class Objective:
    """A block's local loss. Every hook has a working default but `loss`.

    Attributes:
        metrics: names of what `loss` reports besides the total.
    """

    metrics: tuple[str, ...] = ()

    def head(self) -> nn.Module:
        """The auxiliary network behind the block, by default none (the identity).

        Its parameters are trained by the block's own optimiser and its buffers kept, all under the name "head."; the forward
        graph never holds it. Initial values may be drawn from PyTorch's generator, which is seeded in both of these hooks.
        """
        return nn.Identity()

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """What the auxiliary network says of the task for the block output a (B, ...), as the last block would; None if none.

        Asked in evaluation, so that people see what each block knows. For classification: class scores (B, C).
        """
        return None

    def feedback_state(self) -> dict[str, Tensor]:
        """Tensors of the feedback head; not reached by gradients, renewed by `renew_feedback`."""
        return {}

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Feedback tensors after this batch, from the (detached) block output a (B, ...) and labels y (B, C)."""
        return dict(feedback)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Target (B, F) that the feedback head makes of labels y (B, C); only if there is feedback state."""
        raise NotImplementedError

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """What a training step gets from other blocks, each tensor named by `edgebll.kernel.spec.edge_check.received_name`."""
        return ()

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The objective of one step, which knows what it received and the block's input x (B, ...).

        In each step renew_feedback, outgoing and loss are asked of this one.
        """
        return self

    def weighted(self, weight: Tensor) -> Objective:
        """The objective of a batch whose samples have these weights (B,), 0 or 1; not every objective has one.

        Raises:
            NotImplementedError: it compares samples with each other.
        """
        raise NotImplementedError

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """What the step sends other blocks besides a, from the renewed feedback tensors and the block's input x (B, ...)."""
        return {}

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Total loss (0-d) and the terms named in `metrics`.

        Args:
            head: runs the auxiliary network on its current state.
            feedback: already renewed.
            a: the block's output (B, ...) in float32, whatever the block computes in.
            y: targets (B, ...), for classification one-hot (B, C).
        """
        raise NotImplementedError


def mean_over(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of values (B,) by the weights (B,) of their samples; None for 1 each. 0-d, and 0 where nothing weighs."""
    return values.mean() if weight is None else (values * weight).sum() / weight.sum().clamp(min=TINY)


def mean_over_pairs(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of values (B, B) of pairs of samples, each by the product of the two weights (B,); None for 1 each."""
    if weight is None:
        return values.mean()
    return (values * weight.unsqueeze(0) * weight.unsqueeze(1)).sum() / weight.sum().square().clamp(min=TINY)


def smoothed(task: Task, label_smoothing: float) -> Task:
    """The task with the label smoothing that a rule asks for; 0 leaves it as it is.

    Raises:
        ConfigError: it has no classes to smooth, or another smoothing of its own.
    """
    if not label_smoothing:
        return task
    if not isinstance(task, ClassTask) or task.label_smoothing not in (0.0, label_smoothing):
        raise ConfigError(
            f"the rule's label smoothing of {label_smoothing} does not go with the task {task.name}; leave it out"
        )
    return replace(task, label_smoothing=label_smoothing)


def cross_entropy(logits: Tensor, y: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean cross-entropy -sum_c y'_c log softmax(logits)_c with y' = (1 - e) y + e / C; logits and y are (..., C)."""
    loss: Tensor = smoothed(CLASSIFICATION, label_smoothing).loss(logits, y)
    return loss


@dataclass(frozen=True)
class PredictiveObjective(Objective):
    """L = the task's loss of head(a), for classification the cross-entropy, with the auxiliary network that `make_head` builds.

    Attributes:
        make_head: builds it.
        label_smoothing: of the rule.
        place: where the block stands, which says what the task is; None for classification.
        weight: of each sample, see `weighted`.
    """

    make_head: Callable[[], nn.Module]
    label_smoothing: float = 0.0
    place: BlockPlace | None = None
    weight: Tensor | None = None

    def head(self) -> nn.Module:
        """A new auxiliary network."""
        return self.make_head()

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """What the head gives."""
        given: Tensor = head(a)
        return given

    def weighted(self, weight: Tensor) -> Objective:
        """The task's loss with these weights."""
        return replace(self, weight=weight)

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The task's loss of what the head gives."""
        if self.place is not None:
            return self.place.loss(head(a), y, self.label_smoothing, self.weight), {}
        loss: Tensor = smoothed(CLASSIFICATION, self.label_smoothing).loss(head(a), y, self.weight)
        return loss, {}
