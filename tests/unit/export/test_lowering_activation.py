"""Activations: value and gradient on ONNX Runtime against float64 autograd."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.graphs import run_lowered, run_model, to_model
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

from edgebll_export.targets import make_target

CASES: dict[str, Case] = {
    "relu": (F.relu, [(3, 4)]),
    "relu_in_place": (lambda x: F.relu(x * 2, inplace=True), [(3, 4)]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.1), [(3, 4)]),
    "relu6": (lambda x: F.relu6(x * 6), [(3, 4)]),
    "hardtanh": (lambda x: F.hardtanh(x, -0.3, 0.4), [(3, 4)]),
    "elu": (lambda x: F.elu(x, 0.7), [(3, 4)]),
    "sigmoid": (torch.sigmoid, [(3, 4)]),
    "tanh": (torch.tanh, [(3, 4)]),
    "gelu": (F.gelu, [(3, 7)]),
    "gelu_tanh": (lambda x: F.gelu(x, approximate="tanh"), [(3, 7)]),
    "silu": (F.silu, [(3, 7)]),
    "mish": (F.mish, [(3, 7)]),
    "softplus": (F.softplus, [(3, 7)]),
    "softplus_steep_and_linear_early": (lambda x: F.softplus(x, 2.0, 3.0), [(3, 7)]),
    "log_sigmoid": (F.logsigmoid, [(3, 7)]),
    "hard_swish": (lambda x: F.hardswish(3 * x), [(3, 7)]),
    "hard_sigmoid": (lambda x: F.hardsigmoid(3 * x), [(3, 7)]),
    "selu": (F.selu, [(3, 7)]),
    "celu": (lambda x: F.celu(x, 0.7), [(3, 7)]),
    "glu": (lambda x: F.glu(x, 1), [(3, 4, 2)]),
    "prelu_per_channel": (F.prelu, [(2, 3, 4), (3,)]),
    "prelu_of_one_slope": (F.prelu, [(3, 7), (1,)]),
    "threshold": (lambda x: F.threshold(x, 0.1, 0.5), [(3, 7)]),
    "hard_shrink": (lambda x: F.hardshrink(x, 0.4), [(3, 7)]),
    "soft_shrink": (lambda x: F.softshrink(x, 0.4), [(3, 7)]),
    "softsign": (F.softsign, [(3, 7)]),
    "tanh_shrink": (F.tanhshrink, [(3, 7)]),
    "relu_squared": (lambda x: F.relu(x).square(), [(3, 7)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


@pytest.mark.parametrize("target", ["onnx", "tensorrt-8.5"])
@pytest.mark.parametrize("function", [F.softplus, F.logsigmoid, F.mish, F.silu, F.gelu, F.elu, F.celu, torch.sigmoid])
def test_large_inputs_overflow_nowhere(function: Callable[[torch.Tensor], torch.Tensor], target: str) -> None:
    """Where exp(x) is infinite or 0, values and gradients are those of PyTorch."""
    x = torch.tensor([-1e30, -1000.0, -100.0, -20.0, 0.0, 14.9, 15.1, 20.0, 100.0, 1000.0, 1e30])

    def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            y = function(x)
            (gradient,) = torch.autograd.grad(y.sum(), [x])
        return y.detach(), gradient

    model = to_model(both, [x], make_target(target))
    for actual, expected in zip(run_model(model, {"i0": x.numpy()}).values(), both(x), strict=True):
        np.testing.assert_allclose(actual, expected.numpy(), rtol=2e-6, atol=1e-7)


def test_softplus_keeps_small_results() -> None:
    """log(1 + exp(-15)) is 3e-7: as the logarithm of a number near 1 it would be lost."""
    x = torch.tensor([-15.0, -10.0, -5.0])
    (actual,) = run_lowered(lambda v: (F.softplus(v),), [x])
    np.testing.assert_allclose(actual, F.softplus(x.double()).numpy(), rtol=1e-5)
