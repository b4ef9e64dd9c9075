"""How strong BLL's terms are in which block, and in which part of training.

Blocks but the last are counted k = 1..K - 1 of K:

    match        match (k / (K - 1))^match_growth times f(u)
    predict      predict (k / (K - 1))^predict_growth
    reconstruct  reconstruct ((K - k) / (K - 1))^reconstruct_decay        whole in the first block
    labels       (1 - s_k) y + s_k / C,  s_k = soften (1 - (k - 1) / (K - 1))        softest in the first block, 0 in the last

with u = min(1, t / match_steps) in training step t = 1, 2, ..., and f(u) = 1 ("constant"), 2 (1 - u) ("decaying") or 2 u
("growing"): over match_steps the mean weight is the same for all three, to 1 / match_steps. The block counts its steps
itself, in its state, so checkpoints, snapshots and recovery go on where the weight was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from edgebll.learning.objective import BlockPlace

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

CONSTANT, DECAYING, GROWING = SCHEDULES = ("constant", "decaying", "growing")
#: Steps done, in the feedback head's state, 0-d float32: whole numbers are exact in it up to 16 million.
STEPS = "feedback.steps"


def strength(rule: BLL, steps: Tensor) -> Tensor:
    """f(u) of a schedule that is not constant, 0-d, in the step whose number from 1 is `steps` (0-d)."""
    progress = (steps / rule.match_steps).clamp(max=1.0)
    return 2.0 * (1.0 - progress) if rule.match_schedule == DECAYING else 2.0 * progress


def by_depth(place: BlockPlace, growth: float) -> float:
    """(k / (K - 1))^growth."""
    factor: float = ((place.index + 1) / (place.num_blocks - 1)) ** growth
    return factor


def by_height(place: BlockPlace, decay: float) -> float:
    """((K - k) / (K - 1))^decay."""
    factor: float = ((place.num_blocks - place.index - 1) / (place.num_blocks - 1)) ** decay
    return factor


def softened(y: Tensor, place: BlockPlace, soften: float) -> Tensor:
    """Shares of classes (B, C), softer the earlier the block; rows of zeros, which are no label, stay so."""
    share = soften * (1.0 - place.index / (place.num_blocks - 1))
    return (1.0 - share) * y + share / y.shape[1] * y.sum(1, keepdim=True)
