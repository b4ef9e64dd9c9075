"""Terms of BLL that keep features apart: they look at the batch's features alone, at no label.

With t_j the variance of feature j of F over the batch (see `features`) and C_ij the correlation of features i and j there,

    L_entropy  = -entropy 1/2 sum_j log(t_j + 1e-5)                   the entropy of Gaussian features, but for a constant
    L_spread   = spread 1/F sum_j max(0, 1 - sqrt(t_j + 1e-4))        a standard deviation of at least 1
    L_channels = decorrelate_channels 1/F sum_{i != j} C_ij^2         features that tell different things

The paper's entropy H(p_k | alpha_{k-1}) is constant for a fixed variance, so it pulls at nothing; this one is that of the
features over the samples. The second term is the variance term of VICReg (Bardes, Ponce and LeCun, "VICReg", ICLR 2022), the
third its covariance term on correlations: the redundancy reduction of Barlow Twins (Zbontar et al., ICML 2021) within one view.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.learning.rules.bll.features import FLOOR, batch_variance, on_scale

_HINGE_FLOOR = 1e-4


def negative_entropy(features: Tensor, counts: Tensor | None) -> Tensor:
    """-1/2 sum_j log t_j of features (B, F); counts (B,), None for 1 each."""
    return -0.5 * (batch_variance(features, counts) + FLOOR).log().sum()


def lack_of_spread(features: Tensor, counts: Tensor | None) -> Tensor:
    """Mean over features (B, F) of what their standard deviation lacks to 1; counts (B,), None for 1 each."""
    return (1.0 - (batch_variance(features, counts) + _HINGE_FLOOR).sqrt()).clamp(min=0.0).mean()


def channel_correlation(features: Tensor, counts: Tensor | None) -> Tensor:
    """1/F sum_{i != j} C_ij^2 of features (B, F); counts (B,), None for 1 each."""
    unit = on_scale(features, "standardised", counts)
    weights = torch.ones_like(unit[:, 0]) if counts is None else counts
    correlations = (unit * (weights / weights.sum().clamp(min=1e-12)).unsqueeze(1)).t() @ unit
    apart = 1.0 - torch.eye(unit.shape[1], dtype=unit.dtype, device=unit.device)
    return (correlations.square() * apart).sum() / unit.shape[1]
