"""What the features of a block tell of the label, as numbers: a linear probe, its information, effective rank, separability.

Features are a (N, F), labels y (N,) of C classes.

    linear probe       multinomial logistic regression on the training samples' features, standardised there,
                           min over V, b of  sum_n CE(V a_n + b, y_n) + 1/2 |V|^2
                       and the part of the test samples that it tells right
    information        of the label in the features, at least so many bits: H(y) - CE of the probe on the test samples, over
                       log 2, and at least 0. For any q, I(a; y) >= H(y) + E log q(y | a) (Barber and Agakov, "The IM
                       algorithm", NIPS 2003), so the probe bounds it from below, but for chance in means over test samples
    effective rank     exp(-sum_i p_i log p_i), p_i = s_i / sum_j s_j, s the singular values of the test features less their
                       mean (Roy and Vetterli, "The effective rank", EUSIPCO 2007): how many directions are in use
    Fisher ratio       trace S_B / trace S_W, S_B = sum_c n_c / N |m_c - m|^2 the scatter of the test features' class means and
                       S_W = sum_n 1 / N |a_n - m_{y_n}|^2 that inside the classes
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_TINY = 1e-12
#: A feature that moves less is constant: it is left as it is, at zero.
_SMALLEST_DEVIATION = 1e-8
#: Steps of the optimiser at most; it ends before where the gradient is small.
_STEPS = 300


class LinearProbe:
    """A fitted probe.

    Args:
        features: of the training samples (N, F).
        labels: theirs (N,), whole numbers from 0.
        num_classes: C.
    """

    def __init__(self, features: Floats, labels: Ints, num_classes: int) -> None:
        self._mean, deviation = features.mean(0), features.std(0)
        self._scale = np.where(deviation > _SMALLEST_DEVIATION, 1.0 / np.maximum(deviation, _SMALLEST_DEVIATION), 0.0)
        x, y = self._standardised(features), torch.from_numpy(labels)
        weight = torch.zeros(num_classes, x.shape[1], dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS(
            [weight, bias], max_iter=_STEPS, history_size=20, tolerance_grad=1e-6, line_search_fn="strong_wolfe"
        )

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            error = torch.nn.functional.cross_entropy(x @ weight.t() + bias, y) + 0.5 * weight.square().sum() / len(y)
            error.backward()  # type: ignore[no-untyped-call]
            return error.detach()

        optimizer.step(loss)  # type: ignore[arg-type,no-untyped-call,unused-ignore]
        self._weight, self._bias = weight.detach(), bias.detach()

    def log_shares(self, features: Floats) -> Floats:
        """log q(c | a) of features (N, F): (N, C)."""
        scores = self._standardised(features) @ self._weight.t() + self._bias
        shares: Floats = torch.log_softmax(scores, 1).numpy()
        return shares

    def _standardised(self, features: Floats) -> torch.Tensor:
        return torch.from_numpy((features - self._mean) * self._scale)


def information_bits(log_shares: Floats, labels: Ints) -> float:
    """How many bits of the label the probe finds, at least; log_shares (N, C) of samples with labels (N,)."""
    found = log_shares[np.arange(len(labels)), labels].mean() / math.log(2)
    return max(0.0, label_bits(labels) + float(found))


def label_bits(labels: Ints) -> float:
    """H(y) of labels (N,) in bits."""
    shares = np.bincount(labels) / len(labels)
    shares = shares[shares > 0]
    return float(-(shares * np.log2(shares)).sum())


def effective_rank(features: Floats) -> float:
    """Of features (N, F); 0 where all samples have the same."""
    values = np.linalg.svd(features - features.mean(0), compute_uv=False)
    if values.sum() < _TINY:
        return 0.0
    shares = values / values.sum()
    shares = shares[shares > _TINY]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def fisher_ratio(features: Floats, labels: Ints) -> float:
    """Of features (N, F) with labels (N,); infinite where classes are points, 0 where there is one class."""
    between, inside, mean = 0.0, 0.0, features.mean(0)
    for label in np.unique(labels):
        members = features[labels == label]
        centre = members.mean(0)
        between += len(members) * float(np.square(centre - mean).sum())
        inside += float(np.square(members - centre).sum())
    if inside > _TINY:
        return between / inside
    return math.inf if between > _TINY else 0.0
