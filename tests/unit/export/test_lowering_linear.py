"""Matrix products: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import assert_lowered_equals_eager
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "vdot": (torch.vdot, [(4,), (4,)]),
    "bilinear": (F.bilinear, [(4, 3), (4, 5), (2, 3, 5), (2,)]),
    "bilinear_of_sequences": (lambda x, y, w: F.bilinear(x, y, w), [(2, 4, 3), (2, 4, 2), (2, 3, 2)]),
    "linear": (F.linear, [(5, 4), (3, 4), (3,)]),
    "linear_3d": (F.linear, [(2, 5, 4), (3, 4), (3,)]),
    "mm": (lambda x, y: x @ y.t(), [(3, 4), (5, 4)]),
    "bmm": (torch.bmm, [(2, 3, 4), (2, 4, 5)]),
    "mv": (lambda x, v: x @ v, [(3, 4), (4,)]),
    "dot": (lambda x, y: torch.dot(x, y).reshape(1), [(4,), (4,)]),
    "baddbmm": (lambda x, a, b: torch.baddbmm(x, a, b, beta=0.5, alpha=2.0), [(2, 3, 5), (2, 3, 4), (2, 4, 5)]),
    "addmv": (torch.addmv, [(3,), (3, 4), (4,)]),
    "outer": (torch.outer, [(3,), (4,)]),
    "matmul_of_broadcast": (torch.matmul, [(2, 3, 4, 5), (5, 6)]),
    "matmul_of_batches": (torch.matmul, [(2, 3, 4, 5), (2, 3, 5, 6)]),
    "einsum_products": (lambda a, b: torch.einsum("bij,bkj->bik", a, b), [(2, 3, 4), (2, 5, 4)]),
    "einsum_outer": (lambda a, b: torch.einsum("ij,kj->ikj", a, b), [(3, 4), (5, 4)]),
    "einsum_trace": (lambda a: torch.einsum("bii->bi", a), [(2, 3, 3)]),
    "einsum_of_three": (lambda a, b, c: torch.einsum("bhd,hde,be->bh", a, b, c), [(2, 3, 4), (3, 4, 5), (2, 5)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8])
def test_products_of_integers(dtype: torch.dtype) -> None:
    """Large enough for the passes that make sums part of a product of floats."""
    a, b, c = (torch.arange(start, start + 100 * 100).remainder(7).reshape(100, 100).to(dtype) for start in (0, 3, 5))
    assert_lowered_equals_eager(
        lambda a, b, c: (a @ b + c, a.T @ b, c - 2 * (a @ b), torch.addmm(c, a, b, alpha=3), a @ b[0], torch.dot(a[0], b[0])),
        [a, b, c],
    )
