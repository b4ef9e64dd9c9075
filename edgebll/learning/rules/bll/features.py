"""The numbers of a block's output that BLL's terms are made of: pooled, normalised by sample, matched on a scale of the batch.

`pool` and `normalize` act on each sample alone. `match_on` comes behind them and acts on each feature over the batch, before
targets are fitted and matched; gradients go through it. With w_n how much a sample counts, 0 for those that fill a batch up or
have no label,

    mu_j = sum_n w_n a_nj / sum_n w_n,      t_j = sum_n w_n (a_nj - mu_j)^2 / sum_n w_n

    "raw": a_nj        "centred": a_nj - mu_j        "standardised": (a_nj - mu_j) / sqrt(t_j + 1e-5)

Centred features are matched to what tells classes apart alone, for the global mean is always met; standardised ones also on the
scale on which a next block with batch normalisation reads them. The order of samples does not matter to any of it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from edgebll.learning.objective import TINY

if TYPE_CHECKING:
    from edgebll.learning.rules.bll.rule import BLL

_EPSILON = 1e-8
#: Added to variances before they divide or are taken the logarithm of; that of batch normalisation.
FLOOR = 1e-5


def pool_features(a: Tensor, rule: BLL) -> Tensor:
    """The block output a (B, ...) as a_n (B, F), pooled and normalised sample by sample as the rule says."""
    if a.dim() > 2 and rule.pool != "none":
        space = tuple(range(2, a.dim()))
        if rule.pool == "avg":
            a = a.sum(space) / math.prod(a.shape[2:])  # as .mean is, but its gradient stays a view until it is added
        elif rule.pool == "max":
            a = a.amax(space)
        else:
            centred = a - a.mean(space, keepdim=True)
            a = (centred.square().mean(space) + _EPSILON).sqrt()
    a = a.flatten(1)
    if rule.normalize == "center_l2":
        a = a - a.mean(1, keepdim=True)
        a = a / (a.square().sum(1, keepdim=True) + _EPSILON).sqrt()
    elif rule.normalize == "layer_norm":
        a = a - a.mean(1, keepdim=True)
        a = a / (a.square().mean(1, keepdim=True) + 1e-5).sqrt()
    return a


def on_scale(features: Tensor, scale: str, counts: Tensor | None) -> Tensor:
    """Features (B, F) as `match_on` says, one of "raw", "centred" and "standardised"; counts (B,), None for 1 each."""
    if scale == "raw":
        return features
    centred = features - batch_mean(features, counts)
    if scale == "centred":
        return centred
    return centred / (batch_mean(centred.square(), counts) + FLOOR).sqrt()


def batch_mean(values: Tensor, counts: Tensor | None) -> Tensor:
    """Mean over the batch of values (B, F), by how much samples count (B,), None for 1 each: (F,), 0 where nothing counts."""
    if counts is None:
        return values.mean(0)
    return (values * counts.unsqueeze(1)).sum(0) / counts.sum().clamp(min=TINY)


def batch_variance(features: Tensor, counts: Tensor | None) -> Tensor:
    """t (F,), the variance over the batch of features (B, F), by how much samples count (B,), None for 1 each."""
    return batch_mean((features - batch_mean(features, counts)).square(), counts)
