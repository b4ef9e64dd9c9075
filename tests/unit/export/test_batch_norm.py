"""Batch normalisation in training and evaluation mode: output, gradients and running statistics."""

from collections import Counter

import pytest
import torch
from support.graphs import assert_lowered_equals_float64, run_lowered
from torch.nn import functional as F

from edgebll_export import export_step


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (4, 3, 5, 2)])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("tracked", [True, False])
def test_batch_norm_in_training_mode(shape: tuple[int, ...], affine: bool, tracked: bool) -> None:
    """Output, all gradients and the running statistics after the step."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(shape, generator=generator) * 3 + 5
    weight, bias = torch.randn(3, generator=generator), torch.randn(3, generator=generator)
    mean, var = torch.randn(3, generator=generator), torch.rand(3, generator=generator)

    def function(
        x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, mean: torch.Tensor, var: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        x, weight, bias = (v.detach().requires_grad_() for v in (x, weight, bias))
        mean, var = mean.clone(), var.clone()
        with torch.enable_grad():
            stats = (mean, var) if tracked else (None, None)
            y = F.batch_norm(x, *stats, *((weight, bias) if affine else (None, None)), training=True, momentum=0.3)
            wanted = [x, weight, bias] if affine else [x]
            gradients = torch.autograd.grad((y**3).sum(), wanted)
        y = y.detach()
        return (y, *gradients, mean, var) if tracked else (y, *gradients)

    inputs = [x, weight, bias, mean, var]
    expected = function(*(v.double() for v in inputs))
    for actual, exact in zip(run_lowered(function, inputs), expected, strict=True):
        assert torch.allclose(torch.from_numpy(actual).double(), exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max()))


def test_batch_norm_does_not_write_over_its_inputs() -> None:
    """ONNX Runtime computes batch statistics in the buffers of two inputs, which must not be the caller's."""

    def function(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> tuple[torch.Tensor, ...]:
        mean, var = mean.clone(), var.clone()
        return F.batch_norm(x, mean, var, training=True), mean, var

    inputs = [torch.randn(5, 3), torch.full((3,), 7.0), torch.full((3,), 9.0)]
    run_lowered(function, inputs)
    assert torch.equal(inputs[1], torch.full((3,), 7.0))
    assert torch.equal(inputs[2], torch.full((3,), 9.0))


def test_batch_norm_in_evaluation_mode() -> None:

    def function(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        mean = torch.full((3,), 0.5, dtype=x.dtype)
        return F.batch_norm(x, mean, mean + 1.5, weight, bias, training=False)

    assert_lowered_equals_float64(function, [torch.randn(4, 3, 5, 2), torch.randn(3), torch.randn(3)])


def test_batch_norms_with_equal_statistics_keep_apart() -> None:
    """What ONNX Runtime overwrites must not be merged: none, constant and one and the same running statistics."""

    def function(x: torch.Tensor, scale: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x, scale = (value.detach().requires_grad_() for value in (x, scale))
        mean, var = mean.clone(), var.clone()
        zeros, ones = torch.zeros(3, dtype=x.dtype), torch.ones(3, dtype=x.dtype)
        with torch.enable_grad():
            y = F.batch_norm(x, None, None, scale, None, training=True).sin()
            y = y + F.batch_norm(x, None, None, scale + 1, None, training=True).cos()
            for k, statistics in enumerate(
                [(None, None), (None, None), (zeros, ones), (zeros.clone(), ones.clone()), (mean, var)]
            ):
                y = y + F.batch_norm(x + k * x.sin(), *statistics, scale * 2, None, training=True).sin()
            gradients = torch.autograd.grad(y.sin().sum(), (x, scale))
        return (y.detach(), *gradients)

    generator = torch.Generator().manual_seed(2)
    inputs = [torch.randn(8, 3, 5, 5, generator=generator), torch.randn(3, generator=generator), torch.ones(3), torch.ones(3)]
    expected = function(*(value.double() for value in inputs))
    for actual, exact in zip(run_lowered(function, inputs), expected, strict=True):
        assert torch.allclose(torch.from_numpy(actual).double(), exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max()))


def test_batch_norms_may_read_the_same_running_statistics() -> None:
    """Two batches from one starting point: each has buffers of its own for what ONNX Runtime overwrites."""

    def function(x: torch.Tensor, mean: torch.Tensor, var: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = x.detach().requires_grad_()
        with torch.enable_grad():
            first = F.batch_norm(x, mean.clone(), var.clone(), training=True)
            second = F.batch_norm(3 * x.sin() + 2, mean.clone(), var.clone(), training=True)
            (gradient,) = torch.autograd.grad((first.sin() * second.cos()).sum(), x)
        return first.detach(), second.detach(), gradient

    inputs = [torch.randn(8, 3, 5, 5, generator=torch.Generator().manual_seed(3)), torch.randn(3), torch.rand(3) + 1]
    expected = function(*(value.double() for value in inputs))
    for actual, exact in zip(run_lowered(function, inputs), expected, strict=True):
        assert torch.allclose(torch.from_numpy(actual).double(), exact, rtol=1e-4, atol=1e-4 * float(exact.abs().max()))
    nodes = export_step(function, tuple(inputs)).model.graph.node
    readers = Counter(name for node in nodes for name in node.input)
    overwritten = [name for node in nodes if len(node.output) == 3 for name in node.input[3:]]
    assert len(overwritten) == 4
    assert all(readers[name] == 1 for name in overwritten)
