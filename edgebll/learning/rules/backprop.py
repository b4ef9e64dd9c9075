"""End-to-end backpropagation: one block, the task loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebll.errors import ConfigError
from edgebll.learning.rule import BlockPlace, Objective, Rule, task_objective


@dataclass(frozen=True)
class Backprop(Rule):
    """L = CE(logits, y) through the whole network; the baseline of every comparison."""

    label_smoothing: float = 0.0

    name: ClassVar[str] = "backprop"

    def check(self, num_blocks: int) -> None:
        """Only one block: the error crosses the whole network."""
        if num_blocks != 1:
            raise ConfigError(f"backprop trains one block, not {num_blocks}; use --blocks 1 or a local rule such as bll")

    def objective(self, place: BlockPlace) -> Objective:
        """The task loss."""
        return task_objective(self.label_smoothing)
