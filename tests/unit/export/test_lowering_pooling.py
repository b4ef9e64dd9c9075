"""Pooling: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import assert_lowered_equals_float64
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "global_pool": (lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 3, 5, 4)]),
    "adaptive_pool_uneven": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), [(2, 3, 7, 5)]),
    "adaptive_pool_1d": (lambda x: F.adaptive_avg_pool1d(x, 3), [(2, 3, 7)]),
    "adaptive_pool_large": (lambda x: F.adaptive_avg_pool2d(x, 9), [(1, 2, 40, 40)]),
    "avg_pool": (lambda x: F.avg_pool2d(x, 2), [(2, 3, 6, 6)]),
    "avg_pool_overlap": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(2, 3, 7, 6)]),
    "avg_pool_uncounted": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [(2, 3, 7, 6)]),
    "avg_pool_ceil": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), [(2, 3, 8, 7)]),
    "max_pool": (lambda x: F.max_pool2d(x, 2), [(2, 3, 6, 6)]),
    "max_pool_overlap": (lambda x: F.max_pool2d(x, 3, 2, 1), [(2, 3, 7, 6)]),
    "max_pool_left_over": (lambda x: F.max_pool2d(x, 2), [(2, 3, 7, 5)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_max_pool_gives_ties_to_the_first_maximum() -> None:
    x = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    assert_lowered_equals_float64(lambda v: F.max_pool2d(v, 2), [x])
