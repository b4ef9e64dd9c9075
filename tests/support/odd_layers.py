"""Layers that people write by hand: buffers that forward writes, work in place, gradients stopped, bodies wrapped."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Leaky(nn.Module):
    """Recurrent state in a buffer that forward replaces, from batch to batch."""

    potential: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("potential", torch.zeros(shape))

    def forward(self, x: Tensor) -> Tensor:
        self.potential = 0.5 * self.potential + 0.5 * x.detach().mean(0)
        return x - self.potential


class Peak(nn.Module):
    """The largest size seen, in a buffer that forward writes in place, while it trains."""

    peak: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("peak", torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.peak.copy_(torch.maximum(0.9 * self.peak, x.abs().amax(0)))
        return x / (1.0 + self.peak)


class Masked(nn.Module):
    """A buffer that nobody writes."""

    mask: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.register_buffer("mask", (torch.arange(torch.Size(shape).numel()).reshape(shape) % 3 > 0).float())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask


class InPlace(nn.Module):
    """Works in place on a copy, and on a part of it."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y.mul_(0.9).add_(0.1)
        y[:, 0] *= 0.5
        return y


class Stopped(nn.Module):
    """Half of what goes forward brings no gradient back."""

    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x + 0.5 * x.detach().tanh()


class Centred(nn.Module):
    """A mean over the batch that is taken without gradients."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            mean = x.mean(0, keepdim=True)
        return x - mean


class Residual(nn.Module):
    """x + body(x), written into the body's result if in place."""

    def __init__(self, body: nn.Module, in_place: bool = False) -> None:
        super().__init__()
        self.body, self.in_place = body, in_place

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        if self.in_place:
            y += x
            return y
        return x + y


class Gated(nn.Module):
    """The body by two paths: its result, and how much of it."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.body(x) * torch.sigmoid(self.body(0.5 * x))
        return result


class Checkpointed(nn.Module):
    """Computes its body again in the backward pass."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = checkpoint(self.body, x, use_reentrant=False)
        return result
