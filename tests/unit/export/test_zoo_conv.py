"""Whole small networks: value and gradients of input and parameters against float64; every node fits the oldest TensorRT."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, to_model, with_gradients
from support.zoo_conv import ZOO
from torch import Tensor

from edgebll_export.targets import make_target


def function_of(name: str) -> tuple[Callable[..., Tensor], list[Tensor]]:
    """The network as a function of its input and parameters, and values for these."""
    make, shape = ZOO[name]
    torch.manual_seed(0)
    module = make()
    names = [key for key, _ in module.named_parameters()]
    parameters = [parameter.detach() for parameter in module.parameters()]

    def function(x: Tensor, *values: Tensor) -> Tensor:
        result: Tensor = torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))
        return result

    return function, [torch.randn(shape), *parameters]


@pytest.mark.parametrize("name", ZOO)
def test_value_and_gradients(name: str) -> None:
    assert_lowered_equals_float64(*function_of(name), tolerance=5e-5)


@pytest.mark.parametrize("name", ZOO)
def test_it_can_be_exported_for_tensorrt(name: str) -> None:
    function, inputs = function_of(name)
    to_model(with_gradients(function), inputs, make_target("tensorrt-8.5"))
