"""Reductions over axes: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
from support.lowering_cases import Case, check_case

CASES: dict[str, Case] = {
    "sum_axes": (lambda x: x.sum((0, 2)), [(2, 3, 4)]),
    "sum_keepdim": (lambda x: x * x.sum(1, keepdim=True), [(2, 3, 4)]),
    "mean_all": (lambda x: x.mean().reshape(1), [(2, 3)]),
    "mean_axes": (lambda x: x.mean((2, 3)), [(2, 3, 4, 5)]),
    "amax": (lambda x: x.amax((2, 3)), [(2, 3, 4, 4)]),
    "sum_of_broadcast": (lambda x: (x.unsqueeze(1).expand(3, 5, 4)).sum((0, 1)) * x.mean(0), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
