"""Reductions over axes: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import Function, assert_lowered_equals_eager
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "sum_axes": (lambda x: x.sum((0, 2)), [(2, 3, 4)]),
    "sum_keepdim": (lambda x: x * x.sum(1, keepdim=True), [(2, 3, 4)]),
    "mean_all": (lambda x: x.mean().reshape(1), [(2, 3)]),
    "mean_axes": (lambda x: x.mean((2, 3)), [(2, 3, 4, 5)]),
    "amax": (lambda x: x.amax((2, 3)), [(2, 3, 4, 4)]),
    "sum_of_broadcast": (lambda x: (x.unsqueeze(1).expand(3, 5, 4)).sum((0, 1)) * x.mean(0), [(3, 4)]),
    "amin": (lambda x: x.amin((0, 1), keepdim=True), [(3, 4, 2)]),
    "max_all": (lambda x: x.max().reshape(1), [(3, 4)]),
    "min_all": (lambda x: x.min().reshape(1), [(3, 4)]),
    "max_axis": (lambda x: x.max(1)[0], [(3, 4)]),
    "min_axis": (lambda x: x.min(1, keepdim=True)[0], [(3, 4)]),
    "aminmax": (lambda x: torch.aminmax(x, dim=1)[0] * torch.aminmax(x, dim=1)[1], [(3, 4)]),
    "argmax": (lambda x: x * (x.argmax(1, keepdim=True) == 2).to(x.dtype) * (x.argmin() > 3), [(3, 4)]),
    "argmax_all": (lambda x: x * x.argmax(keepdim=True), [(3, 4)]),
    "var": (lambda x: x.var(1), [(3, 4)]),
    "var_of_all": (lambda x: x.var().reshape(1), [(3, 4)]),
    "var_biased": (lambda x: x.var((0, 1), unbiased=False, keepdim=True), [(3, 4, 2)]),
    "std": (lambda x: x.std(1), [(3, 4)]),
    "var_mean": (lambda x: torch.var_mean(x, 1)[0] * torch.var_mean(x, 1)[1], [(3, 4)]),
    "std_mean": (lambda x: torch.std_mean(x, 1)[0], [(3, 4)]),
    "norm": (lambda x: x.norm().reshape(1), [(3, 4)]),
    "norm_of_rows": (lambda x: x.norm(dim=1) + x.norm(p=1, dim=1) + x.norm(p=3, dim=1), [(3, 4)]),
    "norm_by_largest": (lambda x: torch.linalg.vector_norm(x, float("inf"), dim=1), [(3, 4)]),
    "normalize": (lambda x: F.normalize(x, dim=1), [(3, 4)]),
    "prod": (lambda x: x.prod(1), [(3, 4)]),
    "prod_all": (lambda x: x.prod().reshape(1), [(3, 4)]),
    "cumsum": (lambda x: x.cumsum(1) * x.cumsum(0), [(3, 4, 2)]),
    "cumsum_of_integers": (lambda x: x * (x > 0).long().cumsum(1), [(3, 4)]),
    "cumprod": (lambda x: x.cumprod(1), [(3, 5)]),
    "any_all": (lambda x: x * (x > 0).any(1, keepdim=True) + x * (x > 0).all(), [(3, 4)]),
    "any_all_axis": (lambda x: x * (x > 0).any() + x * (x > -1).all(1, keepdim=True), [(3, 4)]),
    "count": (lambda x: x * (x > 0).sum(), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


INTS = torch.tensor([[1, 2**25 + 1, 3], [4, -5, 6]])
TRUTH = torch.tensor([[True, False, True], [False, False, True]])
LARGE = torch.full((400,), 1000.0, dtype=torch.float16)
INFINITE = torch.tensor([1.0, -torch.inf, 2.0, 3.0, torch.inf])
SCALAR = torch.tensor(1.5)

#: What PyTorch computes on these: dtype, shape and content are to be the same.
TYPES: dict[str, tuple[Function, list[torch.Tensor]]] = {
    "dtype of sums and means": (
        lambda x: (
            x.sum(dtype=torch.float32),
            x.sum(0, dtype=torch.float32),
            x.mean(dtype=torch.float32),
            x.mean(0, dtype=torch.float32),
        ),
        [LARGE],
    ),
    "means of truth values": (lambda m: (m.mean(dtype=torch.float32), m.mean(1, dtype=torch.float32)), [TRUTH]),
    "sums of integers": (lambda n: (n.int().sum(), n.int().sum(1), n.sum(0), n.prod(1), n.int().prod()), [INTS]),
    "sums of truth values": (lambda m: (m.sum(), m.sum(1), m.prod(1), m.cumsum(1), m.cumprod(1)), [TRUTH]),
    "sums of repeated integers": (lambda n: (n[:, None].expand(2, 4, 3).sum(), n[:, None].expand(2, 4, 3).sum(1)), [INTS]),
    "cumulative sums of large integers": (lambda n: (n.cumsum(1), n.int().cumsum(0), n.cumsum(1, dtype=torch.float32)), [INTS]),
    "cumulative sums of infinity": (lambda x: (x.cumsum(0), x.reshape(1, 5).cumsum(-1)), [INFINITE]),
    "extremes": (lambda m, n: (m.amax(1), m.amin(0), n.byte().amax(1), n.max(), n.byte().argmax(1)), [TRUTH, INTS]),
    "sums of a scalar": (
        lambda x: (x.sum(0), x.mean(-1), x.sum(0, keepdim=True), x.prod(0), x.cumsum(0), x.cumprod(0)),
        [SCALAR],
    ),
    "moments of a scalar": (lambda x: (x.var(0, correction=0), x.std(correction=0), x.norm()), [SCALAR]),
    "extremes of a scalar": (
        lambda x: (x.amax(0), x.max(0)[0], x.max(0)[1], x.argmax(0), x.argmin(), (x > 1).any(0)),
        [SCALAR],
    ),
}


@pytest.mark.parametrize("name", list(TYPES))
def test_types_are_pytorchs(name: str) -> None:
    assert_lowered_equals_eager(*TYPES[name], tolerance=1e-3 if name == "dtype of sums and means" else 1e-6)
