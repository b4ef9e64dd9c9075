"""How strong BLL's terms are in which block, and in which part of training.

Blocks but the last are counted k = 1..K - 1 of K:

    match        match (k / (K - 1))^match_growth times f(u)
    predict      predict (k / (K - 1))^predict_growth
    reconstruct  reconstruct ((K - k) / (K - 1))^reconstruct_decay        whole in the first block
    labels       (1 - s_k) y + s_k / C,  s_k = soften (1 - (k - 1) / (K - 1))        softest in the first block, 0 in the last

with u how far training is, and f(u) = 1 ("constant"), 2 (1 - u) ("decaying") or 2 u ("growing"), whose mean is 1 where u runs
evenly from 0 to 1:

    u = 1 - lr / (the largest lr so far)        match_steps = 0: as far as the learning rate has fallen
    u = min(1, t / match_steps)                 in training step t = 1, 2, ...

A step knows the learning rate, but not how many steps there are: under a cosine schedule the first runs from 0 to 1 in a
training of any length, under a constant rate it stays at 0. What a block has to remember for it, the largest rate or its steps,
is state: checkpoints, snapshots and recovery go on where the weight was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from edgebll.learning.objective import TINY, BlockPlace, Tensors

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

CONSTANT, DECAYING, GROWING = SCHEDULES = ("constant", "decaying", "growing")
#: Steps done, in the feedback head's state, 0-d float32: whole numbers are exact in it up to 16 million.
STEPS = "feedback.steps"
#: The largest learning rate so far, there too.
PEAK = "feedback.peak_lr"


def remembered(rule: BLL) -> dict[str, Tensor]:
    """The state that the schedule needs, before the first step."""
    if rule.match_schedule == CONSTANT:
        return {}
    return {STEPS if rule.match_steps else PEAK: torch.zeros(())}


def stepped(feedback: Tensors, lr: Tensor | None) -> dict[str, Tensor]:
    """That state after another step, with the learning rate lr (0-d)."""
    if STEPS in feedback:
        return {STEPS: feedback[STEPS] + 1.0}
    if PEAK in feedback and lr is not None:
        return {PEAK: torch.where(lr > feedback[PEAK], lr, feedback[PEAK])}
    return {}


def strength(rule: BLL, feedback: Tensors, lr: Tensor | None) -> Tensor | float:
    """f(u), 0-d, in a step with the learning rate lr (0-d), by the state that it leaves."""
    if STEPS in feedback:
        progress = (feedback[STEPS] / rule.match_steps).clamp(max=1.0)
    elif PEAK in feedback and lr is not None:
        progress = 1.0 - lr / feedback[PEAK].clamp(min=TINY)
    else:
        return 1.0
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
