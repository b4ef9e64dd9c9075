"""Arithmetic, comparison and conversion: value and gradient on ONNX Runtime against float64 autograd."""

import numpy as np
import pytest
import torch
from support.graphs import run_lowered
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
    "clamp_of_integers": (lambda x: x * (3 * x).long().clamp(-1, 2) * (x > 0).long().clamp(min=1), [(3, 4)]),
    "maximum": (lambda x, y: torch.maximum(x, y), [(3, 4), (3, 4)]),
    "minimum": (lambda x, y: torch.minimum(x, y), [(3, 4), (3, 4)]),
    "logical": (lambda x, y: x * (((x > 0) & (y > 0)) | ~(x < -0.5)).float(), [(3, 4), (3, 4)]),
    "fill": (lambda x, y: torch.fill(x, 2.0) * x + torch.fill(x, y), [(3, 4), ()]),
    "masked_fill": (lambda x: x.masked_fill(x > 0.3, 2.0), [(3, 4)]),
    "logical_not": (lambda x: x * torch.logical_not(x > 0.3).float(), [(3, 4)]),
    "where": (lambda x, y: torch.where(x > y, x * 2, y), [(3, 4), (3, 4)]),
    "compare": (lambda x, y: x * ((x >= y).float() + (x < 0).float() + (x <= y).float() + (x != 0).float()), [(3, 4), (3, 4)]),
    "erf": (torch.erf, [(3, 4)]),
    "sin_cos": (lambda x: x.sin() * x.cos(), [(3, 4)]),
    "floor_ceil_sign": (lambda x: x * (x.floor() + x.ceil() + x.sign()), [(3, 4)]),
    "log1p": (lambda x: torch.log1p(x.abs()), [(3, 4)]),
    "expm1": (torch.expm1, [(3, 4)]),
    "logarithms": (lambda x: (x * x + 1).log2() + (x * x + 1).log10(), [(3, 4)]),
    "exp2": (torch.exp2, [(3, 4)]),
    "pow_of_tensors": (lambda x, y: torch.pow(x.abs() + 0.1, y), [(3, 4), (3, 4)]),
    "pow_of_number": (lambda y: torch.pow(2.0, y), [(3, 4)]),
    "clamp_by_tensors": (lambda x, y: torch.clamp(x, y, y + 1), [(3, 4), (3, 4)]),
    "clamp_on_one_side": (lambda x: x.clamp(min=0.1) * x.clamp_max(0.3), [(3, 4)]),
    "lerp": (torch.lerp, [(3, 4), (3, 4), (3, 4)]),
    "addcmul": (lambda x, y: torch.addcmul(x, x, y, value=0.5), [(3, 4), (3, 4)]),
    "addcdiv": (lambda x, y: torch.addcdiv(x, y, x * x + 1), [(3, 4), (3, 4)]),
    "xlogy": (lambda x, y: torch.xlogy(x, y * y + 0.1), [(3, 4), (3, 4)]),
    "xlogy_of_zero": (lambda y: torch.xlogy(torch.zeros(3, 4, dtype=y.dtype), y * y), [(3, 4)]),
    "logit": (lambda x: torch.logit(x.sigmoid(), 1e-3), [(3, 4)]),
    "promotion": (lambda x: x * ((x > 0).long() * 0.5) + x * (x > 0).sum() / 2 + x * torch.tensor(0.5), [(3, 4)]),
    "promotion_of_comparisons": (lambda x: x * ((x > 0).long() < x) + torch.where(x > 0, x, (x > 1).long()), [(3, 4)]),
    "positions": (lambda x: x + torch.sin(torch.arange(4) * 0.1) + torch.linspace(0, 1, 4), [(3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


def test_log1p_and_expm1_keep_small_numbers() -> None:
    x = torch.tensor([-1e-3, -1e-6, 1e-12, 1e-7, 1e-4, 0.3, 0.7, 5.0])
    for function in (torch.log1p, torch.expm1):
        (actual,) = run_lowered(lambda v, f=function: (f(v),), [x])
        np.testing.assert_allclose(actual, function(x.double()).numpy(), rtol=5e-7)


def test_log1p_of_minus_one_is_minus_infinity() -> None:
    (actual,) = run_lowered(lambda v: (torch.log1p(v),), [torch.tensor([-1.0])])
    assert actual == [-np.inf]
