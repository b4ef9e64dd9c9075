"""Arithmetic, comparison and conversion: value and gradient on ONNX Runtime against float64 autograd."""

import pytest
import torch
from support.lowering_cases import Case, check_case

CASES: dict[str, Case] = {
    "add": (lambda x, y: x + 2 * y + 1, [(3, 4), (4,)]),
    "add_alpha": (lambda x, y: torch.add(x, y, alpha=3), [(3, 4), (3, 4)]),
    "sub": (lambda x, y: x - y, [(3, 1), (3, 4)]),
    "sub_alpha": (lambda x, y: torch.sub(x, y, alpha=0.5), [(3, 4), (3, 4)]),
    "rsub": (lambda x: 1.5 - x, [(3, 4)]),
    "mul": (lambda x, y: x * y * 0.5, [(2, 3, 4), (3, 1)]),
    "div": (lambda x, y: x / (y * y + 1) / 3, [(3, 4), (3, 4)]),
    "pow": (lambda x: x**3 + x**2 + (x * x + 1) ** 0.5, [(3, 4)]),
    "square": (lambda x: x.square(), [(3, 4)]),
    "sqrt": (lambda x: (x * x + 1).sqrt(), [(3, 4)]),
    "rsqrt": (lambda x: (x * x + 1).rsqrt(), [(3, 4)]),
    "exp_log": (lambda x: (x.exp() + 1).log(), [(3, 4)]),
    "abs": (lambda x: (x + 0.1).abs(), [(3, 4)]),
    "neg": (lambda x: -x, [(3, 4)]),
    "reciprocal": (lambda x: (x * x + 1).reciprocal(), [(3, 4)]),
    "clamp": (lambda x: x.clamp(-0.5, 0.7), [(3, 4)]),
    "maximum": (lambda x, y: torch.maximum(x, y), [(3, 4), (3, 4)]),
    "minimum": (lambda x, y: torch.minimum(x, y), [(3, 4), (3, 4)]),
    "logical": (lambda x, y: x * (((x > 0) & (y > 0)) | ~(x < -0.5)).float(), [(3, 4), (3, 4)]),
    "fill": (lambda x, y: torch.fill(x, 2.0) * x + torch.fill(x, y), [(3, 4), ()]),
    "masked_fill": (lambda x: x.masked_fill(x > 0.3, 2.0), [(3, 4)]),
    "logical_not": (lambda x: x * torch.logical_not(x > 0.3).float(), [(3, 4)]),
    "where": (lambda x, y: torch.where(x > y, x * 2, y), [(3, 4), (3, 4)]),
    "compare": (lambda x, y: x * ((x >= y).float() + (x < 0).float() + (x <= y).float() + (x != 0).float()), [(3, 4), (3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])
