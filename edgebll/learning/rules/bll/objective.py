"""The loss of a BLL block, and its feedback head that is one linear layer on the label. See `rule`, beside it.

Each term and each choice has a file of its own beside this one: `features`, `targets`, `variance`, `schedule`, `bayes`,
`spread` and `reconstruction`. What fits other targets than classes, or a chain of layers, overrides `target_state`,
`renew_targets` and `beta`.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning.heads import PredictiveHead, half_head
from edgebll.learning.objective import TINY, BlockPlace, Head, Objective, Tensors, mean_over, mean_over_pairs
from edgebll.learning.rules.auglocal import AugLocal
from edgebll.learning.rules.bll import schedule, targets
from edgebll.learning.rules.bll.bayes import gaussian_scores
from edgebll.learning.rules.bll.features import FLOOR, on_scale, pool_features
from edgebll.learning.rules.bll.reconstruction import HeadWithDecoder, InputDecoder, reconstruction_error
from edgebll.learning.rules.bll.spread import channel_correlation, lack_of_spread, negative_entropy
from edgebll.learning.rules.bll.variance import VARIANCE, in_deviations, renewed_variance

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

FEEDBACK = "feedback.weight"
_EPSILON = 1e-8


class BLLObjective(Objective):
    """L_match + L_pred + L_corr of one block, and the further terms that the rule asks for."""

    def __init__(self, rule: BLL, place: BlockPlace) -> None:
        self.rule = rule
        self.place = place
        self.weight: Tensor | None = None
        self.x: Tensor | None = None
        self.lr: Tensor | None = None
        terms = {
            "loss_match": rule.match,
            "loss_pred": rule.predict,
            "loss_corr": rule.decorrelate,
            "loss_entropy": rule.entropy,
            "loss_spread": rule.spread,
            "loss_channels": rule.decorrelate_channels,
            "loss_rec": rule.reconstruct,
        }
        self.metrics = tuple(name for name, weight in terms.items() if weight)

    def head(self) -> nn.Module:
        """The predictive head and the decoder, as far as there are any, trained by the block's own optimiser."""
        predictor = self._predictor()
        if not self.rule.reconstruct:
            return nn.Identity() if predictor is None else predictor
        place = self.place
        return HeadWithDecoder(predictor, InputDecoder(place.output_shape, place.shapes[place.index]))

    def _predictor(self) -> nn.Module | None:
        place, rule = self.place, self.rule
        if not rule.predict or rule.head == "bayes":
            return None
        if rule.head == "auglocal":
            return AugLocal(depth=rule.aux_depth).local_objective(place).head()
        if rule.head == "conv":
            return half_head(place.output_shape, place.num_classes, rule.head_size)
        return PredictiveHead(place.output_shape, place.num_classes, rule.head_size)

    def given(self, received: Tensors, x: Tensor) -> BLLObjective:
        """With the block's input, which may be reconstructed, and the learning rate, which the match may follow."""
        made = copy.copy(self)
        made.x, made.lr = x, received.get("lr")
        return made

    def scores(self, head: Head, feedback: Tensors, a: Tensor) -> Tensor | None:
        """The predictive head's, or those of Bayes' rule on the targets."""
        if not self.rule.predict:
            return None
        if self.rule.head == "bayes":
            return self._bayes(feedback, on_scale(self.pooled(a), self.rule.match_on, None))
        scores: Tensor = head(a)[0] if self.rule.reconstruct else head(a)
        return scores

    def weighted(self, weight: Tensor) -> Objective:
        """Samples of no weight match nothing, and W is not fitted to them."""
        if self.rule.decorrelate:
            raise NotImplementedError
        made = copy.copy(self)
        made.weight = weight
        return made

    def feedback_state(self) -> dict[str, Tensor]:
        """What makes targets, the variance where it is learnt, and the steps where the match follows them."""
        rule = self.rule
        if not rule.has_feedback:
            return {}
        state = self.target_state()
        if rule.variance == "learned":
            state[VARIANCE] = torch.full((self.features_of(self.place.output_shape),), float(rule.sigma**2))
        return state | schedule.remembered(rule)

    def target_state(self) -> dict[str, Tensor]:
        """W (features, C), zero until its class is first seen, or codes. Of one column where it tells no classes apart."""
        rule, place, features = self.rule, self.place, self.features_of(self.place.output_shape)
        if rule.target in targets.CODES:
            codes = targets.make_codes(rule.target, features, place.num_classes, rule.code_scale, rule.target_seed, place.index)
            return {FEEDBACK: codes}
        return {FEEDBACK: torch.zeros(features, 1 if rule.target in targets.WITHOUT_LABEL else place.num_classes)}

    def features_of(self, output_shape: tuple[int, ...]) -> int:
        """How many features the pooled output of a block has."""
        with torch.no_grad():
            return self.pooled(torch.zeros(1, *output_shape)).shape[1]

    def pooled(self, a: Tensor) -> Tensor:
        """a_n (B, features): the block output, pooled and normalised as the rule says."""
        return pool_features(a, self.rule)

    def matched(self, a: Tensor, y: Tensor) -> Tensor:
        """What is matched (B, features): a_n on the scale that the rule says."""
        return on_scale(self.pooled(a), self.rule.match_on, self.place.labelled(y, self.weight))

    def renew_feedback(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Renew what makes targets from this batch's class means, see BLL.feedback, then the variance; count the step."""
        rule = self.rule
        if not feedback:
            return {}
        new = {**feedback, **self.renew_targets(feedback, a, y)}
        if VARIANCE in feedback:
            momentum = 0.0 if rule.feedback == "lstsq" else rule.feedback_momentum
            left = self.matched(a, y) - self.beta(new, y)
            new[VARIANCE] = renewed_variance(feedback[VARIANCE], left, self.place.labelled(y, self.weight), momentum)
        return new | schedule.stepped(feedback, self.lr)

    def renew_targets(self, feedback: Tensors, a: Tensor, y: Tensor) -> dict[str, Tensor]:
        """What makes targets, after this batch."""
        if self.rule.target in targets.FIXED:
            return {}
        old, rule, features = feedback[FEEDBACK], self.rule, self.matched(a, y)
        y = self.masked(targets.columns(y, rule.target))
        counts = y.sum(0)
        sums = features.t() @ y
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
        return F.linear(targets.asked(self.whole(y), self.rule.target, self.rule.target_seed), feedback[FEEDBACK])

    def whole(self, y: Tensor) -> Tensor:
        """Shares of classes (B, C) as shares of what has a label: 1 in sum, or all 0."""
        known = self.place.labelled(y)
        return y if known is None else y / known.unsqueeze(1).clamp(min=TINY)

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the terms whose weight is not zero."""
        rule, place, terms, counts = self.rule, self.place, {}, self.place.labelled(y, self.weight)
        scores, rebuilt = head(a) if rule.reconstruct else (None, None)
        if rule.match:
            terms["loss_match"] = self._match(feedback, a, y, counts)
        if rule.predict:
            if rule.head == "bayes":
                scores = self._bayes(feedback, self.matched(a, y))
            numbers = scores if scores is not None else head(a)
            known = schedule.softened(y, place, rule.soften) if rule.soften else y
            weight = rule.predict * schedule.by_depth(place, rule.predict_growth)
            terms["loss_pred"] = weight * place.loss(numbers, known, rule.label_smoothing, self.weight)
        if rule.decorrelate:
            terms["loss_corr"] = rule.decorrelate * mean_over_pairs(self._correlations(self.pooled(a), y), counts)
        alone = (
            ("loss_entropy", rule.entropy, negative_entropy),
            ("loss_spread", rule.spread, lack_of_spread),
            ("loss_channels", rule.decorrelate_channels, channel_correlation),
        )
        terms |= {name: weight * term(self.pooled(a), counts) for name, weight, term in alone if weight}
        if rebuilt is not None and self.x is not None:
            weight = rule.reconstruct * schedule.by_height(place, rule.reconstruct_decay)
            terms["loss_rec"] = weight * reconstruction_error(rebuilt, self.x, counts)
        return torch.stack(list(terms.values())).sum(), terms

    def _match(self, feedback: Tensors, a: Tensor, y: Tensor, counts: Tensor | None) -> Tensor:
        rule = self.rule
        left = self.matched(a, y) - self.beta(feedback, y).detach()
        weight = rule.match * schedule.by_depth(self.place, rule.match_growth)
        if VARIANCE in feedback:
            term = weight / 8.0 * mean_over(in_deviations(left, feedback[VARIANCE].detach()).sum(1), counts)
        else:
            term = weight / (8.0 * rule.sigma**2) * mean_over(left.square().sum(1), counts)
        return term * schedule.strength(rule, feedback, self.lr) if rule.match_schedule != schedule.CONSTANT else term

    def _bayes(self, feedback: Tensors, features: Tensor) -> Tensor:
        """Scores (B, C) of Bayes' rule on the targets of all classes, for what is matched (B, features)."""
        classes = torch.eye(self.place.num_classes, dtype=features.dtype, device=features.device)
        variance = feedback[VARIANCE].detach() + FLOOR if VARIANCE in feedback else self.rule.sigma**2
        return gaussian_scores(features, self.beta(feedback, classes).detach(), variance)

    def _correlations(self, a: Tensor, y: Tensor) -> Tensor:
        """Squared cosines of all pairs (B, B), 0 for pairs that do not count."""
        unit = a / (a.square().sum(1, keepdim=True) + _EPSILON).sqrt()
        squares = (unit @ unit.t()).square()
        if self.rule.decorrelate_pairs == "different":
            return squares * (1.0 - y @ y.t())
        return squares * (1.0 - torch.eye(a.shape[0], dtype=a.dtype, device=a.device))
