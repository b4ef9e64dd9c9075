"""End-to-end backpropagation: one block, the task loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from edgebll.learning.rule import Rule


@dataclass(frozen=True)
class Backprop(Rule):
    """L = CE(logits, y) through the whole network; the baseline of every comparison.

    Examples:
        >>> from edgebll.learning import Backprop
        >>> Backprop.one_block
        True
    """

    name: ClassVar[str] = "backprop"
    summary: ClassVar[str] = "End-to-end backpropagation through the whole network."
    equation: ClassVar[str] = "L = CE(logits, y)"
    one_block: ClassVar[bool] = True
