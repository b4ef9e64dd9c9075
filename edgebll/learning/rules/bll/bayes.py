"""Bayes' rule on BLL's Gaussians for a classifier: the feedback head predicts, and the block needs no other head.

If samples of class c have Gaussian features with mean T_c, the class's target, and variance v of each feature, and classes are
equally likely, then p(c | a_n) is proportional to the density of a_n, so its logarithm is

    z_nc = -1/2 sum_j (a_nj - T_cj)^2 / v_j = sum_j a_nj T_cj / v_j - 1/2 sum_j T_cj^2 / v_j + what is the same for all classes

the linear discriminant. L_pred is the cross-entropy of these scores; only the block learns from it, T and v are fitted.
v is sigma^2, or learnt (see `variance`).
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def gaussian_scores(features: Tensor, means: Tensor, variance: Tensor | float) -> Tensor:
    """z (B, C).

    Args:
        features: a (B, F).
        means: T (C, F).
        variance: v (F,), or one number.
    """
    scaled = means / variance
    return F.linear(features, scaled, -0.5 * (means * scaled).sum(1))
