"""Losses: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "cross_entropy_probabilities": (
        lambda x, y: F.cross_entropy(x, y.softmax(1), label_smoothing=0.1).reshape(1),
        [(4, 3), (4, 3)],
    ),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
