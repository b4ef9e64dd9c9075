"""Block-local learning (BLL): blocks match a target that a linear feedback head makes of the label.

Fokam, Nazeer, Mayr, Subramoney and Kappel, "A variational framework for local learning with probabilistic latent
representations" (ESANN): block output alpha and feedback beta are means of Gaussians of fixed variance s^2 per channel, the
posterior's mean is rho = (alpha + beta) / 2 (eq. 2), and the block's loss (eqs. 5, 6) is KL(rho || alpha) plus an entropy that
is constant for fixed variance. In closed form, with a_n the pooled output of sample n and beta_n = W y_n:

    L_match = match / (8 s^2) * mean_n ||a_n - beta_n||^2
    L_pred  = predict * CE(head(a), y)                                         (the paper's additional predictive target)
    L_corr  = decorrelate * 1/B^2 sum_{n != m} cos(a_n, a_m)^2                 (the entropy's role in practice; off by default)

W is fitted to every batch before it is used, never by the gradient of the block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.errors import ConfigError
from edgebll.learning.heads import PredictiveHead
from edgebll.learning.rule import BlockPlace, Head, Objective, Rule, Tensors, cross_entropy

FEEDBACK = "feedback.weight"
_EPSILON = 1e-8


@dataclass(frozen=True)
class BLL(Rule):
    """Options of block-local learning; the defaults are the best and steadiest found on Fashion-MNIST.

    Attributes:
        pool: how a (B, C, ...) becomes a_n (B, C): "avg", "max" or "std" over space, or "none" (flatten).
        normalize: "none", "center_l2" (subtract the mean over channels, divide by the L2 norm) or "layer_norm".
        match: weight of L_match. sigma: s, the standard deviation of alpha and beta.
        predict: weight of L_pred. head_size: cells a side of the head's pooled map.
        decorrelate: weight of L_corr. decorrelate_pairs: "all" or "different" (pairs of different classes only).
        feedback: how W is renewed from m_c, the mean of a_n over the batch's samples of class c (the least-squares solution
            for one-hot labels); columns of absent classes always stay as they are.
            "lstsq": W_c = sum_c a_n / (n_c + ridge);  "ema": W_c = feedback_momentum W_c + (1 - feedback_momentum) m_c;
            "sgd": W_c = W_c - feedback_lr ((W_c - m_c) + feedback_decay W_c).
    """

    pool: str = "avg"
    normalize: str = "none"
    match: float = 1.0
    sigma: float = 1.0
    predict: float = 1.0
    head_size: int = 3
    decorrelate: float = 0.0
    decorrelate_pairs: str = "all"
    feedback: str = "ema"
    ridge: float = 0.0
    feedback_momentum: float = 0.9
    feedback_lr: float = 0.9
    feedback_decay: float = 0.01

    name: ClassVar[str] = "bll"
    summary: ClassVar[str] = "Block-local learning: the output matches what a feedback head makes of the label."
    equation: ClassVar[str] = (
        "L = match/(8 sigma^2) mean|pool(a) - W y|^2 + predict CE(head(a), y) + decorrelate mean cos(a_n, a_m)^2"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _one_of("pool", self.pool, ("avg", "max", "std", "none"))
        _one_of("normalize", self.normalize, ("none", "center_l2", "layer_norm"))
        _one_of("decorrelate_pairs", self.decorrelate_pairs, ("all", "different"))
        _one_of("feedback", self.feedback, ("lstsq", "ema", "sgd"))
        for name in ("match", "predict", "decorrelate", "ridge"):
            if getattr(self, name) < 0:
                raise ConfigError(f"BLL's {name} must not be negative, but is {getattr(self, name)}")
        if self.sigma <= 0 or self.head_size < 1:
            raise ConfigError("BLL's sigma must be above 0 and head_size at least 1")
        if self.match == 0 and self.predict == 0:
            raise ConfigError("BLL needs match or predict above 0: without both, the label never reaches the block")

    def local_objective(self, place: BlockPlace) -> Objective:
        """The BLL loss."""
        return BLLObjective(self, place)


def _one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"BLL's {name} must be one of {', '.join(known)}, not {value!r}")


class BLLObjective(Objective):
    """L_match + L_pred + L_corr of one block."""

    def __init__(self, rule: BLL, place: BlockPlace) -> None:
        self.rule = rule
        self.place = place
        terms = {"loss_match": rule.match, "loss_pred": rule.predict, "loss_corr": rule.decorrelate}
        self.metrics = tuple(name for name, weight in terms.items() if weight)

    def head(self) -> nn.Module:
        """The predictive head, trained by the block's own optimiser."""
        place = self.place
        return (
            PredictiveHead(place.output_shape, place.num_classes, self.rule.head_size) if self.rule.predict else nn.Identity()
        )

    def feedback_state(self) -> dict[str, Tensor]:
        """W (features, C), zero until its class is first seen."""
        with torch.no_grad():
            features = self.pooled(torch.zeros(1, *self.place.output_shape)).shape[1]
        return {FEEDBACK: torch.zeros(features, self.place.num_classes)} if self.rule.match else {}

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
        old, rule = feedback[FEEDBACK], self.rule
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

    def beta(self, feedback: Tensors, y: Tensor) -> Tensor:
        """beta_n = W y_n, shape (B, features)."""
        return F.linear(y, feedback[FEEDBACK])

    def loss(self, head: Head, feedback: Tensors, a: Tensor, y: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Weighted sum of the terms whose weight is not zero."""
        rule, terms = self.rule, {}
        if rule.match:
            distance = (self.pooled(a) - self.beta(feedback, y).detach()).square().sum(1).mean()
            terms["loss_match"] = rule.match / (8.0 * rule.sigma**2) * distance
        if rule.predict:
            terms["loss_pred"] = rule.predict * cross_entropy(head(a), y, rule.label_smoothing)
        if rule.decorrelate:
            terms["loss_corr"] = rule.decorrelate * self._correlation(self.pooled(a), y)
        return torch.stack(list(terms.values())).sum(), terms

    def _correlation(self, a: Tensor, y: Tensor) -> Tensor:
        unit = a / (a.square().sum(1, keepdim=True) + _EPSILON).sqrt()
        squares = (unit @ unit.t()).square()
        if self.rule.decorrelate_pairs == "different":
            squares = squares * (1.0 - y @ y.t())
        else:
            squares = squares * (1.0 - torch.eye(a.shape[0], dtype=a.dtype, device=a.device))
        return squares.mean()
