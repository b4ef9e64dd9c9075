"""A predictive loss and BLL's match in one: a classifier, and a target of the label that the output is pulled to."""

from __future__ import annotations

from torch import Tensor, nn

from edgebll.learning.objective import Head, Objective, Tensors


class MatchedObjective(Objective):
    """L = L_pred + L_match.

    Args:
        predictive: whose auxiliary network it is.
        matching: whose feedback head it is; it asks no auxiliary network.
    """

    metrics = ("loss_match", "loss_pred")

    def __init__(self, predictive: Objective, matching: Objective) -> None:
        self.predictive, self.matching = predictive, matching

    def head(self) -> nn.Module:
        """The auxiliary network."""
        return self.predictive.head()

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """The auxiliary network's."""
        return self.predictive.scores(head, feedback, a)

    def feedback_state(self) -> dict[str, Tensor]:
        """The feedback head."""
        return self.matching.feedback_state()

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """The feedback head after this batch."""
        return self.matching.renew_feedback(feedback, a, y)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """The target of the labels."""
        return self.matching.beta(feedback, y)

    def weighted(self, weight: Tensor) -> Objective:
        """Both with these weights."""
        return MatchedObjective(self.predictive.weighted(weight), self.matching.weighted(weight))

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum, and both terms."""
        predicted, _ = self.predictive.loss(head, feedback, a, y)
        matched, _ = self.matching.loss(head, feedback, a, y)
        return predicted + matched, {"loss_match": matched, "loss_pred": predicted}
