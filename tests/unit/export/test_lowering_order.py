"""Sorting and selecting by rank: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.graphs import Function, assert_lowered_equals_eager, to_model
from support.lowering_cases import Case, check_case

from edgebll.kernel.errors import ExportError
from edgebll_export.targets import make_target

CASES: dict[str, Case] = {
    "topk": (lambda x: x.topk(3).values, [(4, 6)]),
    "topk_smallest": (lambda x: x.topk(2, 0, largest=False).values, [(4, 6)]),
    "topk_of_a_vector": (lambda x: x.topk(2).values, [(5,)]),
    "topk_as_a_mask": (lambda x: x * torch.zeros_like(x).scatter(1, x.topk(2).indices, 1.0), [(4, 6)]),
    "sort": (lambda x: x.sort(1).values, [(2, 5, 3)]),
    "sort_descending": (lambda x: x.sort(descending=True).values, [(4, 6)]),
    "sort_stable": (lambda x: torch.sort(x, dim=0, stable=True).values, [(4, 6)]),
    "sort_of_a_scalar": (lambda x: x.sum().sort().values * 1, [(4,)]),
    "argsort": (lambda x: x.gather(1, x.abs().argsort(1)), [(4, 6)]),
    "kthvalue": (lambda x: x - x.kthvalue(2, 1, keepdim=True).values, [(4, 6)]),
    "kthvalue_of_a_scalar": (lambda x: x.sum().kthvalue(1).values * 1, [(4,)]),
    "median": (lambda x: x - x.median(1, keepdim=True).values, [(4, 6)]),
    "median_of_all": (lambda x: x - x.median(), [(3, 5)]),
    "quantile": (lambda x: x - (x if x.dtype == torch.float64 else x.float()).quantile(0.3, 1, keepdim=True), [(4, 6)]),
}

TIES = torch.tensor([[2.0, 1.0, 2.0, 1.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
#: Equal elements stay in order, which PyTorch promises of stable sorts.
EXACT: dict[str, tuple[Function, list[torch.Tensor]]] = {
    "ties": (lambda x: torch.sort(x, stable=True), [TIES]),
    "ties, descending": (lambda x: torch.sort(x, stable=True, descending=True), [TIES]),
    "integers": (lambda x: torch.sort(x * 2**40, stable=True), [TIES.long()]),
    "small integers": (lambda x: torch.sort(x, stable=True), [TIES.to(torch.uint8)]),
    "truth values": (lambda x: torch.sort(x, stable=True), [TIES > 0]),
    "half precision": (lambda x: torch.sort(x, stable=True), [TIES.half()]),
    "median of an even number": (lambda x: (x.median(1).values, x.median()), [TIES[:, :4] + torch.arange(4) / 8]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


@pytest.mark.parametrize("name", list(EXACT))
def test_order_and_positions_are_those_of_a_stable_sort(name: str) -> None:
    assert_lowered_equals_eager(*EXACT[name])


def test_what_tensorrt_cannot_sort_is_refused_by_its_name() -> None:
    with pytest.raises(ExportError, match=r"3840 first elements at most, not 4000; sort fewer \(operator aten.sort"):
        to_model(lambda x: x.sort(), [torch.zeros(1, 4000)], make_target("tensorrt-8.5"))
