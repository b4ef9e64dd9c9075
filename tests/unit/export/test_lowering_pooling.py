"""Pooling: value and gradient on ONNX Runtime against float64 autograd."""

from __future__ import annotations

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, to_model
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

from edgebll.kernel.errors import ExportError

#: Small whole numbers, so that many windows hold their maximum more than once; the first gets the gradient.
TIES = torch.randint(-2, 3, (2, 3, 9, 8), generator=torch.Generator().manual_seed(0)).float()
CUBES = torch.randint(-2, 3, (2, 2, 5, 4, 6), generator=torch.Generator().manual_seed(0)).float()
LOW = -1e30 * (1 + torch.rand(1, 2, 7, 7, generator=torch.Generator().manual_seed(0)))
CASES: dict[str, Case] = {
    "global_pool": (lambda x: F.adaptive_avg_pool2d(x, 1), [(2, 3, 5, 4)]),
    "adaptive_pool_uneven": (lambda x: F.adaptive_avg_pool2d(x, (3, 2)), [(2, 3, 7, 5)]),
    "adaptive_pool_1d": (lambda x: F.adaptive_avg_pool1d(x, 3), [(2, 3, 7)]),
    "adaptive_pool_3d": (lambda x: F.adaptive_avg_pool3d(x, (2, 1, 3)), [(2, 3, 5, 4, 6)]),
    "adaptive_pool_3d_to_one": (lambda x: F.adaptive_avg_pool3d(x, 1), [(2, 3, 5, 4, 6)]),
    "adaptive_pool_large": (lambda x: F.adaptive_avg_pool2d(x, 9), [(1, 2, 40, 40)]),
    "adaptive_pool_beyond": (lambda x: F.adaptive_avg_pool2d(x, (7, 3)), [(2, 3, 4, 5)]),
    "avg_pool": (lambda x: F.avg_pool2d(x, 2), [(2, 3, 6, 6)]),
    "avg_pool_overlap": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(2, 3, 7, 6)]),
    "avg_pool_uncounted": (lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False), [(2, 3, 7, 6)]),
    "avg_pool_ceil": (lambda x: F.avg_pool2d(x, 3, 2, ceil_mode=True), [(2, 3, 8, 7)]),
    "avg_pool_ceil_padded": (lambda x: F.avg_pool2d(x, (3, 2), 2, 1, ceil_mode=True), [(2, 3, 8, 7)]),
    "avg_pool_ceil_uncounted": (lambda x: F.avg_pool2d(x, 3, 2, 1, True, False), [(2, 3, 8, 7)]),
    "avg_pool_divisor": (lambda x: F.avg_pool2d(x, 3, 2, 1, divisor_override=5), [(2, 3, 8, 7)]),
    "avg_pool_large": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(1, 2, 40, 36)]),
    "avg_pool_without_batch": (lambda x: F.avg_pool2d(x, 3, 2, 1), [(3, 7, 6)]),
    "avg_pool_1d": (lambda x: F.avg_pool1d(x, 3, 2, 1), [(2, 3, 8)]),
    "avg_pool_1d_ceil": (lambda x: F.avg_pool1d(x, 3, 2, 0, True), [(2, 3, 8)]),
    "avg_pool_3d": (lambda x: F.avg_pool3d(x, (2, 3, 2), (2, 1, 2), (1, 1, 0)), [(2, 3, 4, 5, 6)]),
    "avg_pool_3d_divisor": (lambda x: F.avg_pool3d(x, 2, ceil_mode=True, divisor_override=3), [(2, 3, 4, 5, 3)]),
    "max_pool": (lambda x: F.max_pool2d(x, 2), [(2, 3, 6, 6)]),
    "max_pool_ties": (lambda x: F.max_pool2d(x, 2), [TIES]),
    "max_pool_overlap": (lambda x: F.max_pool2d(x, 3, 2, 1), [TIES]),
    "max_pool_stride_1": (lambda x: F.max_pool2d(x, 3, 1, 1), [TIES]),
    "max_pool_left_over": (lambda x: F.max_pool2d(x, 2), [(2, 3, 7, 5)]),
    "max_pool_stride_beyond": (lambda x: F.max_pool2d(x, 2, 3), [TIES]),
    "max_pool_apart_padded": (lambda x: F.max_pool2d(x, 3, 3, 1), [TIES]),
    "max_pool_apart_ceil": (lambda x: F.max_pool2d(x, (2, 3), ceil_mode=True), [TIES]),
    "max_pool_ceil": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), [TIES]),
    "max_pool_ceil_padded": (lambda x: F.max_pool2d(x, 2, (3, 2), 1, ceil_mode=True), [TIES]),
    "max_pool_dilation": (lambda x: F.max_pool2d(x, 3, 2, 1, 2), [TIES]),
    "max_pool_dilation_reaching_out": (lambda x: F.max_pool2d(x, 2, (4, 3), 1, 3, True), [TIES]),
    "max_pool_of_one": (lambda x: F.max_pool2d(x, 1), [TIES]),
    "max_pool_of_one_strided": (lambda x: F.max_pool2d(x, 1, 2), [TIES]),
    "max_pool_whole": (lambda x: F.max_pool2d(x, (9, 8)), [TIES]),
    "max_pool_low": (lambda x: F.max_pool2d(x * 1e-30, 3, 2, 1), [LOW]),
    "max_pool_without_batch": (lambda x: F.max_pool2d(x, 2, 1), [(3, 6, 6)]),
    "max_pool_1d": (lambda x: F.max_pool1d(x, 2), [TIES[0]]),
    "max_pool_1d_overlap": (lambda x: F.max_pool1d(x, 3, 2, 1, 2, True), [TIES[0]]),
    "max_pool_3d": (lambda x: F.max_pool3d(x, 2), [CUBES]),
    "max_pool_3d_overlap": (lambda x: F.max_pool3d(x, (3, 2, 3), (2, 1, 2), (1, 0, 1), 1, True), [CUBES]),
    "max_pool_3d_dilation": (lambda x: F.max_pool3d(x, 2, (2, 1, 2), 0, 2), [CUBES]),
    "adaptive_max_pool": (lambda x: F.adaptive_max_pool2d(x, (3, 4)), [TIES]),
    "adaptive_max_pool_uneven": (lambda x: F.adaptive_max_pool2d(x, (4, 3)), [TIES]),
    "adaptive_max_pool_to_one": (lambda x: F.adaptive_max_pool2d(x, 1), [TIES]),
    "adaptive_max_pool_beyond": (lambda x: F.adaptive_max_pool2d(x, (12, 8)), [TIES]),
    "adaptive_max_pool_1d": (lambda x: F.adaptive_max_pool1d(x, 5), [TIES[0]]),
    "adaptive_max_pool_3d": (lambda x: F.adaptive_max_pool3d(x, (2, 3, 3)), [CUBES]),
    "lp_pool": (lambda x: F.lp_pool2d(x * x + 0.1, 3.0, (3, 2)), [(2, 3, 6, 6)]),
    "lp_pool_1d": (lambda x: F.lp_pool1d(x, 2.0, 3, 2), [(2, 3, 7)]),
    "local_response": (lambda x: F.local_response_norm(x, 3), [(2, 5, 4, 3)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_max_pool_gives_ties_to_the_first_maximum() -> None:
    x = torch.tensor([[[[1.0, 1.0], [0.0, 1.0]]]])
    assert_lowered_equals_float64(lambda v: F.max_pool2d(v, 2), [x])


def test_a_plain_average_is_one_operator() -> None:
    model = to_model(lambda x: (F.avg_pool2d(x, 3, 2, 1),), [torch.zeros(2, 3, 7, 6)])
    assert [node.op_type for node in model.graph.node] == ["AveragePool"]


def test_a_maximum_without_gradient_is_one_operator() -> None:
    model = to_model(lambda x: (F.max_pool2d(x, 3, 2, 1, ceil_mode=True),), [torch.zeros(2, 3, 7, 6)])
    assert [node.op_type for node in model.graph.node] == ["MaxPool"]


def test_windows_that_see_nothing_are_refused() -> None:
    with pytest.raises(ExportError, match="sees nothing but padding"):
        to_model(lambda x: (F.max_pool1d(x, 2, 1, 1, 2),), [torch.zeros(1, 1, 1)])


def test_indices_are_refused() -> None:
    with pytest.raises(ExportError, match="graphs do not hold the output o1"):
        to_model(lambda x: F.max_pool2d(x, 2, return_indices=True), [torch.zeros(1, 1, 4, 4)])
    with pytest.raises(ExportError, match="max_unpool"):
        to_model(lambda x: (F.max_unpool2d(*F.max_pool2d(x, 2, return_indices=True), [2, 2]),), [torch.zeros(1, 1, 4, 4)])
