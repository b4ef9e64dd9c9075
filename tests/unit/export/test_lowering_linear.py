"""Matrix products: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "linear": (F.linear, [(5, 4), (3, 4), (3,)]),
    "linear_3d": (F.linear, [(2, 5, 4), (3, 4), (3,)]),
    "mm": (lambda x, y: x @ y.t(), [(3, 4), (5, 4)]),
    "bmm": (torch.bmm, [(2, 3, 4), (2, 4, 5)]),
    "mv": (lambda x, v: x @ v, [(3, 4), (4,)]),
    "dot": (lambda x, y: torch.dot(x, y).reshape(1), [(4,), (4,)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
