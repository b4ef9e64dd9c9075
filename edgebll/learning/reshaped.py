"""Objectives that see a block's output, and the labels, in another shape than the block gives them."""

from __future__ import annotations

import copy

from torch import Tensor, nn

from edgebll.kernel.spec.manifest import TensorSpec
from edgebll.learning.objective import Head, Objective, Tensors


class Reshaped(Objective):
    """An objective behind a change of shape; a subclass says which.

    Args:
        inner: the objective of the new shape.
        parts: how many samples each sample becomes.
    """

    def __init__(self, inner: Objective, parts: int = 1) -> None:
        self.inner = inner
        self.parts = parts
        self.metrics = inner.metrics

    def output(self, a: Tensor) -> Tensor:
        """The block output a (B, ...) as `inner` takes it."""
        raise NotImplementedError

    def labels(self, y: Tensor) -> Tensor:
        """The labels as `inner` takes them."""
        return y

    def head(self) -> nn.Module:
        """The auxiliary network of the new shape."""
        return self.inner.head()

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """Those of the new shape."""
        return self.inner.scores(head, feedback, self.output(a))

    def feedback_state(self) -> dict[str, Tensor]:
        """Tensors of the feedback head for the new shape."""
        return self.inner.feedback_state()

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Feedback tensors after a batch a (B, ...) with labels y."""
        return self.inner.renew_feedback(feedback, self.output(a), self.labels(y))

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """Targets for labels y."""
        return self.inner.beta(feedback, self.labels(y))

    def received(self, batch_size: int) -> tuple[TensorSpec, ...]:
        """As the inner objective has it."""
        return self.inner.received(batch_size)

    def given(self, received: Tensors, x: Tensor) -> Objective:
        """The objective of one step; x (B, ...) is the block's input as it is."""
        return self._around(self.inner.given(received, x))

    def weighted(self, weight: Tensor) -> Objective:
        """Each part of a sample has the sample's weight (B,)."""
        spread = weight if self.parts == 1 else weight.unsqueeze(1).expand(-1, self.parts).flatten()
        return self._around(self.inner.weighted(spread))

    def _around(self, inner: Objective) -> Objective:
        made = copy.copy(self)
        made.inner = inner
        return made

    def outgoing(self, feedback: Tensors, x: Tensor) -> dict[str, Tensor]:
        """As the inner objective has it; x (B, ...) is the block's input as it is."""
        return self.inner.outgoing(feedback, x)

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch a (B, ...) with labels y."""
        return self.inner.loss(head, feedback, self.output(a), self.labels(y))
