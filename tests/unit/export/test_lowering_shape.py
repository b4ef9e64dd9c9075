"""Views, joins, slices and filled tensors: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

CASES: dict[str, Case] = {
    "scalar_tensor": (lambda x: torch.where(x > 0, x, torch.scalar_tensor(0.5, dtype=x.dtype)), [(3, 4)]),
    "views": (lambda x: x.reshape(4, 6).unsqueeze(1).squeeze(1).t().transpose(0, 1).permute(1, 0), [(2, 3, 4)]),
    "transposed_twice": (lambda x: x.t().t() * x, [(3, 4)]),
    "slices": (lambda x: x[:, 1:3] * x[:, 2:4], [(3, 5)]),
    "select": (lambda x: x[1] * x[:, 2].sum(), [(3, 5)]),
    "cat": (lambda x, y: torch.cat([x, y * 2], 1), [(3, 2), (3, 4)]),
    "stack": (lambda x, y: torch.stack([x, y, x], 1), [(3, 2), (3, 2)]),
    "pad": (lambda x: F.pad(x, (1, 2, 0, 1)) * 2, [(2, 3)]),
    "flatten": (lambda x: x.flatten(1) * 3, [(2, 3, 4)]),
    "likes": (lambda x: x * torch.ones_like(x) + torch.zeros_like(x) + torch.full_like(x, 2.0), [(2, 3)]),
    "filled": (lambda x: x + torch.full((2, 3), 2.0, dtype=x.dtype) + torch.eye(2, 3, dtype=x.dtype), [(2, 3)]),
    "zeros_ones": (lambda x: x + torch.zeros(2, 3, dtype=x.dtype) + torch.ones(3, dtype=x.dtype), [(2, 3)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
