"""BLL's Gaussians with a variance of each feature that is learnt: the match then has a scale of its own.

alpha and beta are Gaussians of feature j with means a_nj and beta_nj and one variance v_j for both. Their product is Gaussian
again, the posterior rho with mean (a + beta) / 2 and variance v / 2, and the divergence of two Gaussians is in closed form
(e.g. Bishop, "Pattern recognition and machine learning", exercise 2.13)

    KL(rho || alpha) = sum_j [ ((a_nj + beta_nj) / 2 - a_nj)^2 + v_j / 2 ] / (2 v_j) - 1/2 + log(sqrt(v_j) / sqrt(v_j / 2))
                     = sum_j (a_nj - beta_nj)^2 / (8 v_j) + constant

As beta_n is the same for all samples of a class, v_j is the variance inside the classes, and its maximum-likelihood estimate is
the mean square of what the targets leave over (the pooled variance of linear discriminant analysis: Hastie, Tibshirani and
Friedman, "The elements of statistical learning", 2nd ed., section 4.3):

    s_j = sum_n w_n (a_nj - beta_nj)^2 / sum_n w_n          v_j = s_j ("lstsq"), else v_j = momentum v_j + (1 - momentum) s_j

It begins at sigma^2, is fitted before it is used, as W is, and no gradient goes through it. So

    L_match = match / 8  mean_n sum_j (a_nj - beta_nj)^2 / (v_j + 1e-5)

which does not change when a feature is scaled. With v_j = s_j and class means for targets its gradient is that of
match / 8 sum_j log s_j: the entropy of the feature given the label is lowered, whatever its size. Alone, that can be met by
features that all shrink; and as it is about match F / 8 whatever they are, match is to be small where F is large. `entropy` =
match / 4 beside it makes the two together -match / 4 times sum_j 1/2 log(t_j / s_j), the information that each Gaussian feature
has of the label, t_j being the variance over all samples.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.learning.rules.bll.features import FLOOR, batch_mean

VARIANCE = "feedback.variance"


def renewed_variance(old: Tensor, left: Tensor, counts: Tensor | None, momentum: float) -> Tensor:
    """v (F,) after a batch; it stays where no sample counts.

    Args:
        old: v before it (F,).
        left: a_n - beta_n (B, F).
        counts: how much samples count (B,); None for 1 each.
        momentum: part of the old that is kept.
    """
    new = momentum * old + (1.0 - momentum) * batch_mean(left.square(), counts)
    return new if counts is None else torch.where(counts.sum() > 0, new, old)


def in_deviations(left: Tensor, variance: Tensor) -> Tensor:
    """Squares of a_n - beta_n (B, F) in units of the variance (F,)."""
    return left.square() / (variance + FLOOR)
