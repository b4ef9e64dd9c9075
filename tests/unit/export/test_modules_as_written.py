"""Blocks as users write them: the exported step does what plain PyTorch does with them, and they come back as they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from support.plain_training import TOLERANCE, batches, error_of, export, network_of, normal
from support.slow import slow_after
from support.untouched_modules import differences, fingerprint
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from edgebll_export import verify_bundle


class Checkpointed(nn.Module):
    """The hidden layer is computed again in the backward pass."""

    def __init__(self, hidden: nn.Module | None = None) -> None:
        super().__init__()
        self.hidden, self.out = hidden or nn.Linear(3, 8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(checkpoint(lambda t: torch.tanh(self.hidden(t)), x, use_reentrant=False))


class _ReadsWeights(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, layer: nn.Linear) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(x)
        return x @ weight.t()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        return gradient @ ctx.layer.weight, gradient.t() @ x, None


class BackwardReadsWeights(nn.Module):
    """A function of the user's own whose backward pass reads the layer it belongs to."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(3, 8), nn.Linear(8, 8, bias=False), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.tanh(_ReadsWeights.apply(torch.tanh(self.a(x)), self.b.weight, self.b)))


class Twice(nn.Module):
    """One layer by two paths, and a batch norm."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.a = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8)) if norm else nn.Linear(8, 8)
        self.b = self.a
        self.i, self.o = nn.Linear(3, 8), nn.Linear(8, 6)

    def forward(self, x: Tensor) -> Tensor:
        return self.o(torch.tanh(self.b(torch.tanh(self.a(self.i(x))))))


class Tied(nn.Module):
    """One parameter in two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 3)
        self.b.weight = self.a.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.b(torch.tanh(self.a(x)))


class Remembers(nn.Module):
    """A buffer that is only written, an attention map kept for people to look at, and a mask made once."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.o = nn.Linear(3, 8), nn.Linear(8, 6)
        self.register_buffer("last", torch.zeros(8))
        self.map: Tensor | None = None
        self.cache: dict[str, Tensor] = {}

    def forward(self, x: Tensor) -> Tensor:
        h = torch.tanh(self.a(x))
        self.last = h.detach().mean(0)
        self.map = h
        mask = self.cache.setdefault("mask", torch.ones(8))
        return self.o(h * mask)


class Leaky(nn.Module):
    """A leaky integrator whose potential is a buffer that forward replaces."""

    potential: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(3, 6)
        self.register_buffer("potential", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        current = self.a(x)
        self.potential = 0.9 * self.potential + current.detach().mean(0)
        return torch.tanh(current + self.potential)


def hooked(*hooks: Callable[[Tensor], Tensor | None]) -> nn.Module:
    """A linear block whose first weight has gradient hooks."""
    block = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6))
    for hook in hooks:
        block[0].weight.register_hook(hook)
    return block


def masked() -> nn.Module:
    """Pruned: some gradients are masked out."""
    mask = (torch.arange(24).reshape(8, 3) % 2).float()
    return hooked(lambda g: g * mask, lambda g: 0.5 * g)


def frozen_norm() -> nn.Module:
    """A batch norm left in evaluation mode."""
    block = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))
    block[1].running_mean.fill_(0.5)
    block[1].eval()
    return block


def frozen_parameters() -> nn.Module:
    """A first layer that is not trained."""
    block = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6))
    block[0].requires_grad_(False)
    return block


def forward_hooked() -> nn.Module:
    """Hooks of modules change what goes forward, and what comes back."""
    block = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6))
    block[1].register_forward_hook(lambda module, inputs, output: output * 1.5)
    block[0].register_forward_pre_hook(lambda module, inputs: (inputs[0] + 0.1,))
    block[1].register_full_backward_hook(lambda module, given, gradients: (given[0] * 0.5,))
    return block


def whole_block_frozen() -> nn.Module:
    """A block in evaluation mode throughout."""
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 6)).eval()


BLOCKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "activation checkpointing": (Checkpointed, (3,)),
    "checkpointed batch norm": (lambda: Checkpointed(nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8))), (3,)),
    "backward reads weights": (BackwardReadsWeights, (3,)),
    "gradient hook": (lambda: hooked(lambda g: g * 0), (3,)),
    "gradient hooks with a mask": (masked, (3,)),
    "hook that returns nothing": (lambda: hooked(lambda g: None), (3,)),
    "forward and backward hooks": (forward_hooked, (3,)),
    "batch norm in evaluation mode": (frozen_norm, (2, 8, 8)),
    "whole block in evaluation mode": (whole_block_frozen, (3,)),
    "frozen parameters": (frozen_parameters, (3,)),
    "one layer by two paths": (lambda: Twice(norm=False), (3,)),
    "one batch norm by two paths": (lambda: Twice(norm=True), (3,)),
    "tied weights": (Tied, (3,)),
    "layer twice in a sequence": (lambda: nn.Sequential(*[nn.Linear(3, 3), nn.Tanh()] * 2), (3,)),
    "written buffer, kept attributes": (Remembers, (3,)),
    "buffer that is replaced": (Leaky, (3,)),
    "parametrised": (lambda: nn.utils.parametrize.register_parametrization(nn.Linear(3, 6), "weight", nn.Tanh()), (3,)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_six_steps_equal_plain_pytorch(name: str, tmp_path: Path) -> None:
    make_block, shape = BLOCKS[name]
    assert error_of(make_block, tmp_path, normal(*shape)) < TOLERANCE


@pytest.mark.parametrize("name", slow_after(3, BLOCKS))
def test_export_and_verify_leave_the_module_as_it_was(name: str, tmp_path: Path) -> None:
    make_block, shape = BLOCKS[name]
    block = make_block()
    before = fingerprint(block)
    network = network_of(block, batches(normal(*shape))[0][0])
    assert not differences(before, fingerprint(block))
    export(network, tmp_path / "bundle")
    assert not differences(before, fingerprint(block))
    rows = verify_bundle(tmp_path / "bundle", network=network, steps=2)
    assert rows
    assert not any(row.failed for row in rows)
    assert not differences(before, fingerprint(block))


def test_a_second_export_starts_from_the_same_weights(tmp_path: Path) -> None:
    network = network_of(Twice(norm=True), torch.zeros(2, 3))
    for folder in ("first", "second"):
        export(network, tmp_path / folder)
    for file in ("state.safetensors", "step.onnx", "golden.safetensors"):
        contents = [(tmp_path / folder / "block0" / file).read_bytes() for folder in ("first", "second")]
        assert contents[0] == contents[1], file
