"""The loss of a BLL block, and its feedback head that is one linear layer on the label. See `rule`, beside it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning.heads import PredictiveHead
from edgebll.learning.objective import TINY, BlockPlace, Head, Objective, Tensors, mean_over, mean_over_pairs

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

FEEDBACK = "feedback.weight"
_EPSILON = 1e-8


class BLLObjective(Objective):
    """L_match + L_pred + L_corr of one block."""

    def __init__(self, rule: BLL, place: BlockPlace) -> None:
        self.rule = rule
        self.place = place
        self.weight: Tensor | None = None
        terms = {"loss_match": rule.match, "loss_pred": rule.predict, "loss_corr": rule.decorrelate}
        self.metrics = tuple(name for name, weight in terms.items() if weight)

    def head(self) -> nn.Module:
        """The predictive head, trained by the block's own optimiser."""
        place = self.place
        return (
            PredictiveHead(place.output_shape, place.num_classes, self.rule.head_size) if self.rule.predict else nn.Identity()
        )

    def scores(self, head: Head, a: Tensor) -> Tensor | None:
        """The predictive head's."""
        return head(a) if self.rule.predict else None

    def weighted(self, weight: Tensor) -> Objective:
        """Samples of no weight match nothing, and W is not fitted to them."""
        if self.rule.decorrelate:
            raise NotImplementedError
        made = copy.copy(self)
        made.weight = weight
        return made

    def feedback_state(self) -> dict[str, Tensor]:
        """W (features, C), zero until its class is first seen."""
        return (
            {FEEDBACK: torch.zeros(self.features_of(self.place.output_shape), self.place.num_classes)}
            if self.rule.match
            else {}
        )

    def features_of(self, output_shape: tuple[int, ...]) -> int:
        """How many features the pooled output of a block has."""
        with torch.no_grad():
            return self.pooled(torch.zeros(1, *output_shape)).shape[1]

    def pooled(self, a: Tensor) -> Tensor:
        """a_n (B, features): the block output, pooled and normalised as the rule says."""
        if a.dim() > 2 and self.rule.pool != "none":
            space = tuple(range(2, a.dim()))
            if self.rule.pool == "avg":
                a = a.mean(space)
            elif self.rule.pool == "max":
                a = a.amax(space)
            else:
                centred = a - a.mean(space, keepdim=True)
                a = (centred.square().mean(space) + _EPSILON).sqrt()
        a = a.flatten(1)
        if self.rule.normalize == "center_l2":
            a = a - a.mean(1, keepdim=True)
            a = a / (a.square().sum(1, keepdim=True) + _EPSILON).sqrt()
        elif self.rule.normalize == "layer_norm":
            a = a - a.mean(1, keepdim=True)
            a = a / (a.square().mean(1, keepdim=True) + 1e-5).sqrt()
        return a

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Renew W from this batch's class means; see BLL.feedback."""
        if not feedback:
            return {}
        old, rule, y = feedback[FEEDBACK], self.rule, self.masked(y)
        counts = y.sum(0)
        sums = self.pooled(a).t() @ y
        present = (counts > 0).to(a.dtype)
        safe = counts + (1.0 - present)
        if rule.feedback == "lstsq":
            new = sums / (safe + rule.ridge)
        elif rule.feedback == "ema":
            new = rule.feedback_momentum * old + (1.0 - rule.feedback_momentum) * (sums / safe)
        else:
            new = old - rule.feedback_lr * ((old - sums / safe) + rule.feedback_decay * old)
        return {FEEDBACK: present * new + (1.0 - present) * old}

    def masked(self, rows: Tensor) -> Tensor:
        """Rows (B, D), zero where a sample has no weight."""
        return rows if self.weight is None else rows * self.weight.unsqueeze(1)

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """beta_n = W y_n, shape (B, features)."""
        return F.linear(self.whole(y), feedback[FEEDBACK])

    def whole(self, y: Tensor) -> Tensor:
        """Shares of classes (B, C) as shares of what has a label: 1 in sum, or all 0."""
        known = self.place.labelled(y)
        return y if known is None else y / known.unsqueeze(1).clamp(min=TINY)

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the terms whose weight is not zero."""
        rule, terms, counts = self.rule, {}, self.place.labelled(y, self.weight)
        if rule.match:
            distance = mean_over((self.pooled(a) - self.beta(feedback, y).detach()).square().sum(1), counts)
            terms["loss_match"] = rule.match_at(self.place) / (8.0 * rule.sigma**2) * distance
        if rule.predict:
            terms["loss_pred"] = rule.predict * self.place.loss(head(a), y, rule.label_smoothing, self.weight)
        if rule.decorrelate:
            terms["loss_corr"] = rule.decorrelate * mean_over_pairs(self._correlations(self.pooled(a), y), counts)
        return torch.stack(list(terms.values())).sum(), terms

    def _correlations(self, a: Tensor, y: Tensor) -> Tensor:
        """Squared cosines of all pairs (B, B), 0 for pairs that do not count."""
        unit = a / (a.square().sum(1, keepdim=True) + _EPSILON).sqrt()
        squares = (unit @ unit.t()).square()
        if self.rule.decorrelate_pairs == "different":
            return squares * (1.0 - y @ y.t())
        return squares * (1.0 - torch.eye(a.shape[0], dtype=a.dtype, device=a.device))
