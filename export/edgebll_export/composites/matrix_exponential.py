"""exp(A) of square matrices: a polynomial of A / 2^s, squared s times, with s from the norm of A while the graph runs."""

from __future__ import annotations

from functools import reduce
from math import factorial

import torch
from torch import Tensor

from edgebll_export.composites.registry import composite

#: Squarings in the graph: enough for norms up to 2^12. A matrix of norm 1 or less is squared not once.
_SQUARINGS = 12
_BLOCKS = 4  # of three terms each: degree 11, whose rest is 2e-9 for a norm of 1


@composite("aten.linalg_matrix_exp.default", family="linear algebra")
def matrix_exp(a: Tensor) -> Tensor:
    """exp(A): Taylor's polynomial of degree 11 of A / 2^s, squared s times, for norms up to 4096."""
    if a.shape[-1] == 1:
        return a.exp()
    norm = a.abs().sum(-2).amax(-1).clamp_min(1.0)
    times = norm.log2().ceil().clamp_max(float(_SQUARINGS))[..., None, None]
    result = _polynomial(a * torch.exp2(-times))
    for k in range(_SQUARINGS):
        result = torch.where(times > k, result @ result, result)
    return result


def _polynomial(a: Tensor) -> Tensor:
    """Blocks of 1, A and A^2, all in one product with their coefficients, then Horner's rule in A^3."""
    one = torch.eye(a.shape[-1], dtype=a.dtype).expand(a.shape)
    square = a @ a
    cube = square @ a
    powers = torch.stack([one, a, square], -3).flatten(-2)
    terms = [[1 / factorial(3 * block + term) for term in range(3)] for block in range(_BLOCKS)]
    product = torch.tensor(terms, dtype=a.dtype) @ powers
    blocks = product.reshape(*a.shape[:-2], _BLOCKS, *a.shape[-2:]).unbind(-3)
    return reduce(lambda result, block: torch.add(block, cube @ result), reversed(blocks))
