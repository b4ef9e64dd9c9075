"""The greedy rule (GLL): every block minimises the cross-entropy of a predictive head of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.learning.heads import PredictiveHead
from edgebll.learning.rule import BlockPlace, Objective, PredictiveObjective, Rule, task_objective


@dataclass(frozen=True)
class Greedy(Rule):
    """Greedy local learning (Belilovsky et al. 2019; BackLink paper, "GLL"): L_k = CE(head_k(a_k), y).

    Attributes:
        head_size: cells a side of the head's pooled map. label_smoothing: e of the smoothed target.
    """

    head_size: int = 3
    label_smoothing: float = 0.0

    name: ClassVar[str] = "greedy"

    def objective(self, place: BlockPlace) -> Objective:
        """The predictive head, or the task loss at the last block."""
        if place.is_last:
            return task_objective(self.label_smoothing)

        def head() -> nn.Module:
            return PredictiveHead(place.output_shape, place.num_classes, self.head_size)

        return PredictiveObjective(head, self.label_smoothing)
