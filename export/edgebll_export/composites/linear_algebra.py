"""Inverses and solutions of linear systems by Gauss-Jordan elimination with pivots, and products of reflections.

Unrolled: a few nodes for every row. Where PyTorch keeps a factorisation for the gradient, here the inverse takes its place;
only the solver for the adjoint system reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.kernel.errors import ExportError
from edgebll_export.composites.registry import composite

_FAMILY = "linear algebra"
_MAX_ROWS = 128


def inverse(a: Tensor) -> Tensor:
    """Inverse of (..., n, n).

    In step k the row with the largest entry of column k that was no pivot before is the pivot; it stays where it is. At the end
    the left half is the permutation that rows would have to be put in, the right half the inverse in that order.
    """
    n = a.shape[-1]
    if n > _MAX_ROWS:
        raise ExportError(f"a linear system of {n} unknowns is too large for a graph, which takes {_MAX_ROWS} at most")
    rows = torch.arange(n)
    both = torch.cat([a, torch.eye(n, dtype=a.dtype).expand(a.shape)], -1)
    free = torch.ones_like(a[..., 0])
    for k in range(n):
        column = both[..., k]
        best = torch.where(free > 0, column.abs(), -1.0).argmax(-1, keepdim=True)
        hit = best == rows
        free = torch.where(hit, 0.0, free)
        pivot = torch.where(hit.unsqueeze(-1), both, 0.0).sum(-2, keepdim=True)
        pivot = pivot / pivot[..., k : k + 1]
        both = torch.where(hit.unsqueeze(-1), pivot, both - column.unsqueeze(-1) * pivot)
    return both[..., :n].mT @ both[..., n:]


def _codes(a: Tensor) -> Tensor:
    return torch.zeros(a.shape[:-2], dtype=torch.int32)


@composite("aten.linalg_inv_ex.default", family=_FAMILY)
def inv(a: Tensor, *, check_errors: bool = False) -> tuple[Tensor, Tensor]:
    """Inverses (..., n, n) of up to 128 rows, by Gauss-Jordan elimination."""
    return inverse(a), _codes(a)


@composite("aten._linalg_solve_ex.default", family=_FAMILY)
def solve(a: Tensor, b: Tensor, *, left: bool = True, check_errors: bool = False) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """X of a x = b, or x a = b, for up to 128 unknowns; and the inverse in place of the factors."""
    inverted = inverse(a)
    pivots = torch.zeros(a.shape[:-1], dtype=torch.int32)
    return _product(inverted, b, left), inverted, pivots, _codes(a)


@composite("aten.linalg_lu_solve.default", family=_FAMILY)
def solve_again(inverted: Tensor, _pivots: Tensor, b: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The same system, or its adjoint, with another right side, by the inverse that was found before."""
    return _product(inverted.mT if adjoint else inverted, b, left)


def _product(inverted: Tensor, b: Tensor, left: bool) -> Tensor:
    if b.ndim == inverted.ndim - 1 or (b.ndim == 1 and inverted.ndim > 1):  # vectors
        column = b.unsqueeze(-1) if left else b.unsqueeze(-2)
        return (inverted @ column).squeeze(-1) if left else (column @ inverted).squeeze(-2)
    return inverted @ b if left else b @ inverted


@composite("aten.linalg_householder_product.default", family=_FAMILY)
def householder_product(a: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of reflections 1 - tau v v^T, whose vectors are the columns of a below its diagonal."""
    m, n = a.shape[-2:]
    vectors = a.tril(-1) + torch.eye(m, n, dtype=a.dtype)
    product = torch.eye(m, n, dtype=a.dtype).expand(a.shape)
    for k in reversed(range(tau.shape[-1])):
        v = vectors[..., k : k + 1]
        product = product - tau[..., k : k + 1].unsqueeze(-1) * (v @ (v.mT @ product))
    return product
