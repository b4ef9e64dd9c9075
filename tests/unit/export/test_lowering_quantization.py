"""Fake quantisation: value and gradient on ONNX Runtime against PyTorch."""

from typing import Any

import pytest
import torch
from support.graphs import assert_lowered_equals_eager, with_gradients
from support.lowering_cases import Case, check_case
from torch import Tensor

INT = torch.int32
SCALES, ZEROS = torch.tensor([0.1, 0.2, 0.05]), torch.tensor([0, 3, -2], dtype=INT)


def per_tensor(x: Tensor) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x, 0.07, 3, -10, 12)


def by_tensors(x: Tensor) -> Tensor:
    return torch.fake_quantize_per_tensor_affine(x, torch.tensor(0.07), torch.tensor(3, dtype=INT), -10, 12)


def per_channel(x: Tensor) -> Tensor:
    return torch.fake_quantize_per_channel_affine(x, SCALES, ZEROS, 1, -10, 12)


def learnable(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return torch._fake_quantize_learnable_per_tensor_affine(x.float(), scale.float(), zero.float(), -10, 12, 0.3)


def learnable_per_channel(x: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
    return torch._fake_quantize_learnable_per_channel_affine(x.float(), scale.float(), zero.float(), 1, -10, 12, 0.3)


#: Its stub knows no tensors where numbers are asked for.
OBSERVE: Any = torch.fused_moving_avg_obs_fake_quant


def observed(x: Tensor, smallest: Tensor, largest: Tensor, symmetric: bool = False, on: int = 1) -> Tensor:
    scale, zero = torch.tensor([1.0]), torch.tensor([0], dtype=INT)
    flag, switch = torch.tensor([1]), torch.tensor([on])
    kept: list[Any] = [value.clone() for value in (smallest, largest)]
    low, high = (-128, 127) if symmetric else (0, 255)
    options: Any = (0.01, low, high, 0, False, symmetric)
    result = OBSERVE(x.float(), flag, switch, *kept, scale, zero, *options)
    return torch.cat([result.flatten(), *(value.flatten() for value in (*kept, scale, zero.float()))])


def observed_rows(x: Tensor, smallest: Tensor, largest: Tensor) -> Tensor:
    scale, zero, flag = torch.ones(3), torch.zeros(3, dtype=INT), torch.tensor([1])
    kept: list[Any] = [value.clone() for value in (smallest, largest)]
    result = OBSERVE(x.float(), flag, flag, *kept, scale, zero, 0.1, 0, 255, 0, True, False)
    return torch.cat([result.flatten(), *(value.flatten() for value in (*kept, scale, zero.float()))])


LOW, HIGH = torch.tensor(-1.0), torch.tensor(2.5)
INFINITE: list[Any] = [torch.tensor(torch.inf), torch.tensor(-torch.inf)]
#: Functions that compute in float32 only, where what of the range is kept is no float input.
ROUNDED: dict[str, Case] = {
    "learnable": (learnable, [(4, 5), torch.tensor([0.07]), torch.tensor([2.6])]),
    "learnable_per_channel": (learnable_per_channel, [(4, 3), SCALES, torch.tensor([0.4, 3.0, -2.6])]),
    "observed": (lambda x: observed(x, LOW, HIGH), [(4, 5)]),
    "observed_first": (lambda x: observed(x, *INFINITE), [(4, 5)]),
    "observed_symmetric": (lambda x: observed(x, LOW, HIGH, True), [(4, 5)]),
    "observed_only": (lambda x: observed(x, LOW, HIGH, on=0), [(4, 5)]),
    "observed_positive": (lambda x: observed(x.abs() + 1, *INFINITE), [(4, 5)]),
    "observed_nothing": (lambda x: observed(x * 0, *INFINITE), [(4, 5)]),
    "observed_little": (lambda x: observed(x * 1e-4, *INFINITE), [(4, 5)]),
    "observed_rows": (lambda x: observed_rows(x, torch.full((3,), -0.5), torch.ones(3)), [(3, 4)]),
}
CASES: dict[str, Case] = {
    "per_tensor": (per_tensor, [(4, 5)]),
    "per_tensor_by_tensors": (by_tensors, [(4, 5)]),
    "per_channel": (per_channel, [(4, 3)]),
    **ROUNDED,
}


@pytest.mark.parametrize("name", [name for name in CASES if name not in ROUNDED])
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


@pytest.mark.parametrize("name", list(ROUNDED))
def test_value_and_gradient_in_single_precision(name: str) -> None:
    function, shapes = ROUNDED[name]
    generator = torch.Generator().manual_seed(3)
    inputs = [part if isinstance(part, Tensor) else torch.randn(part, generator=generator) for part in shapes]
    assert_lowered_equals_eager(with_gradients(function), inputs, 2e-5)
