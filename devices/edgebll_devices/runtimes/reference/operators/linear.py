"""Matrix products."""

# To the checker, arithmetic on arrays of any dtype is Any.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from edgebll.kernel.errors import BundleError
from edgebll_devices.runtimes.reference.operators.registry import Value, operator, same_dtype


@operator("MatMul")
def matmul(a: Value, b: Value, /) -> Value:
    """Matrix product over the last two axes, broadcast over the others."""
    same_dtype(a, b)
    return np.matmul(a, b)


@operator("Gemm")
def gemm(
    a: Value,
    b: Value,
    c: Value | None = None,
    /,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Value:
    """Alpha a b + beta c for matrices, each transposed on demand; c broadcasts."""
    same_dtype(a, b)
    if a.ndim != 2 or b.ndim != 2:
        raise BundleError("Gemm takes matrices")
    kind = a.dtype.type
    product = kind(alpha) * np.matmul(a.T if transA else a, b.T if transB else b)
    return product if c is None else product + kind(beta) * c
