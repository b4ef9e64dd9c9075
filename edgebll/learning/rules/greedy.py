"""The greedy rule (GLL): every block minimises the cross-entropy of a classifier of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.heads import PredictiveHead, conv_head
from edgebll.learning.objective import BlockPlace, Objective, PredictiveObjective
from edgebll.learning.rule import Rule


@dataclass(frozen=True)
class Greedy(Rule):
    """Greedy local learning (Belilovsky et al. 2019; BackLink paper, "GLL"). CE stands for the loss of the task.

    Attributes:
        classifier: "linear" (on a pooled map) or "conv" (a 3x3 convolution and two linear layers).
        head_size: cells a side of the linear classifier's map.
        hidden: features between the conv classifier's linear layers.

    Examples:
        >>> from edgebll.learning import Greedy
        >>> Greedy(classifier="conv", hidden=64).options()["hidden"]
        64
    """

    head_size: int = 3
    classifier: str = "linear"
    hidden: int = 128

    name: ClassVar[str] = "greedy"
    summary: ClassVar[str] = "Greedy local learning (GLL): each block has a classifier of its own."
    equation: ClassVar[str] = "L = CE(head(a), y)"
    inner_only: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classifier not in ("linear", "conv"):
            raise ConfigError(f"greedy's classifier must be linear or conv, not {self.classifier!r}")
        if self.head_size < 1 or self.hidden < 1:
            raise ConfigError("greedy's head_size and hidden must be at least 1")

    def local_objective(self, place: BlockPlace) -> Objective:
        """The classifier's loss."""

        def head() -> nn.Module:
            if self.classifier == "conv":
                return conv_head(place.output_shape, place.num_classes, self.hidden)
            return PredictiveHead(place.output_shape, place.num_classes, self.head_size)

        return PredictiveObjective(head, self.label_smoothing, place)
