"""Sequences with a label for every position: to a local loss, each position is a sample.

A block output (B, T, F) and labels (B, T, C) become B T samples of F features and their labels, so every rule that knows
blocks of features trains sequences too.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from edgebll.errors import ConfigError
from edgebll.learning.rule import BlockPlace, Head, Objective, Rule, Tensors
from edgebll.spec import TensorSpec


def objective_of(rule: Rule, place: BlockPlace) -> Objective:
    """The rule's objective at a place, for each position of a sequence if the labels are (B, T, C).

    Raises:
        ConfigError: the rule does not fit the place, or the block's output is not of one vector a position.
    """
    if not place.positions or rule.whole_sequences:
        return rule.objective(place)
    if len(place.output_shape) != 2 or place.output_shape[0] != place.positions:
        raise ConfigError(
            f"block{place.index} must give features for each of {place.positions} positions, because each has a label, but its "
            f"output has the shape {place.output_shape}"
        )
    shapes = (*place.shapes[:1], *(shape[1:] for shape in place.shapes[1:]))
    return PerPosition(rule.objective(replace(place, output_shape=place.output_shape[1:], positions=0, shapes=shapes)))


class PerPosition(Objective):
    """An objective of features, applied to every position of a sequence."""

    def __init__(self, inner: Objective) -> None:
        self.inner = inner
        self.metrics = inner.metrics

    def head(self) -> nn.Module:
        """The auxiliary network: one for all positions."""
        return self.inner.head()

    def feedback_state(self) -> dict[str, Tensor]:
        """Tensors of the feedback head: one for all positions."""
        return self.inner.feedback_state()

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Feedback tensors after a batch a (B, T, F) with labels y (B, T, C)."""
        return self.inner.renew_feedback(feedback, a.flatten(0, 1), y.flatten(0, 1))

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Targets (B, T, F) for labels y (B, T, C)."""
        return self.inner.beta(feedback, y.flatten(0, 1)).reshape(*y.shape[:2], -1)

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """As the objective of features has it."""
        return self.inner.received(batch_size)

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The objective of one step; x is (B, T, F)."""
        return PerPosition(self.inner.given(received, x))

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """As the objective of features has it; x is (B, T, F)."""
        return self.inner.outgoing(feedback, x)

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch a (B, T, F) with labels y (B, T, C): the mean over all positions."""
        return self.inner.loss(head, feedback, a.flatten(0, 1), y.flatten(0, 1))
