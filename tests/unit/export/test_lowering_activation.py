"""Activations: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "relu": (F.relu, [(3, 4)]),
    "relu_in_place": (lambda x: F.relu(x * 2, inplace=True), [(3, 4)]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), [(3, 4)]),
    "relu6": (lambda x: F.relu6(x * 6), [(3, 4)]),
    "hardtanh": (lambda x: F.hardtanh(x, -0.3, 0.4), [(3, 4)]),
    "elu": (lambda x: F.elu(x, 0.7), [(3, 4)]),
    "sigmoid": (torch.sigmoid, [(3, 4)]),
    "tanh": (torch.tanh, [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
