"""Distances of all pairs of rows, and their gradients; where two rows are equal the gradient is 0."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from edgebll_export.composites.registry import composite

_FAMILY = "distance"


def _norm(difference: Tensor, p: float) -> Tensor:
    """Norm over the last axis."""
    size = difference.abs()
    if p == 0:
        return (size != 0).sum(-1).to(size.dtype)
    if p == 1:
        return size.sum(-1)
    if p == math.inf:
        return size.amax(-1)
    return (size * size).sum(-1).sqrt() if p == 2 else size.pow(p).sum(-1).pow(1 / p)


def _pull(grad: Tensor, difference: Tensor, distance: Tensor, p: float) -> Tensor:
    """Gradient of the norm of a difference (..., M) by it, from (...)."""
    grad, distance = grad.unsqueeze(-1), distance.unsqueeze(-1)
    if p == 0:
        return torch.zeros_like(difference)
    if p == 1:
        return grad * difference.sign()
    if p == math.inf:
        return grad * difference.sign() * (difference.abs() == distance)
    nowhere = distance == 0
    safe = torch.where(nowhere, 1.0, distance)
    if p == 2:
        return torch.where(nowhere, 0.0, grad * difference / safe)
    size = difference.abs()
    bent = difference.sign() * torch.where(size == 0, 0.0, torch.where(size == 0, 1.0, size).pow(p - 1))
    return torch.where(nowhere, 0.0, grad * bent / safe.pow(p - 1))


@composite("aten._cdist_forward.default", family=_FAMILY)
def cdist(x: Tensor, y: Tensor, p: float, _mode: int | None) -> Tensor:
    """Distances (..., P, R) of rows (..., P, M) and (..., R, M)."""
    return _norm(x.unsqueeze(-2) - y.unsqueeze(-3), p)


@composite("aten._cdist_backward.default", family=_FAMILY)
def cdist_backward(grad: Tensor, x: Tensor, y: Tensor, p: float, distances: Tensor) -> Tensor:
    """Gradient of the first rows (..., P, M)."""
    return _pull(grad, x.unsqueeze(-2) - y.unsqueeze(-3), distances, p).sum(-2)


@composite("aten._euclidean_dist.default", family=_FAMILY)
def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """Distances by |x|^2 + |y|^2 - 2 x y, as one product of matrices, as PyTorch takes it for many rows."""
    squares = [(rows * rows).sum(-1, keepdim=True) for rows in (x, y)]
    left = torch.cat([-2 * x, squares[0], torch.ones_like(squares[0])], -1)
    right = torch.cat([y, torch.ones_like(squares[1]), squares[1]], -1)
    return torch.matmul(left, right.mT).clamp_min(0.0).sqrt()


def _pairs(rows: int) -> tuple[Tensor, Tensor]:
    first, second = torch.triu_indices(rows, rows, 1)
    return first, second


@composite("aten._pdist_forward.default", family=_FAMILY)
def pdist(x: Tensor, p: float = 2.0) -> Tensor:
    """Distances of every two rows of (N, M), as a vector."""
    first, second = _pairs(x.shape[0])
    return _norm(x[first] - x[second], p)


@composite("aten._pdist_backward.default", family=_FAMILY)
def pdist_backward(grad: Tensor, x: Tensor, p: float, distances: Tensor, **_: Any) -> Tensor:
    """Gradient of the rows."""
    first, second = _pairs(x.shape[0])
    pull = _pull(grad, x[first] - x[second], distances, p)
    return torch.zeros_like(x).index_add(0, first, pull).index_add(0, second, -pull)
