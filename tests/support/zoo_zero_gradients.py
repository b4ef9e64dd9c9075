"""Networks some of whose gradients are zero in exact arithmetic, so that rounding alone decides them."""

from __future__ import annotations

import torch
from torch import nn

from edgebll.learning.networks import BlockNetwork


def _with_biases(block: nn.Module) -> nn.Module:
    """Let norms shift, as after some training; unshifted, ReLU makes the next norm blind to the scale of the one before."""
    for module in block.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(module.bias, std=0.5)
    return block


def _network(*layers: nn.Module, last: nn.Module, shape: tuple[int, ...]) -> BlockNetwork:
    return BlockNetwork([_with_biases(nn.Sequential(*layers)), last], num_classes=5, input_shape=shape)


def bottleneck() -> BlockNetwork:
    """An inverted residual's layers and the next one's first: the linear batch norm's shift is lost in the norm after it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = (
            *(nn.Conv2d(3, 24, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU6()),
            *(nn.Conv2d(24, 24, 3, padding=1, groups=24, bias=False), nn.BatchNorm2d(24), nn.ReLU6()),
            *(nn.Conv2d(24, 8, 1, bias=False), nn.BatchNorm2d(8)),
            *(nn.Conv2d(8, 32, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU6()),
        )
        last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 5))
        return _network(*layers, last=last, shape=(3, 12, 12))


def norm_chain() -> BlockNetwork:
    """Linear layers with biases and batch norms, two of them without anything between."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = (
            *(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Tanh()),
            *(nn.Linear(16, 8), nn.BatchNorm1d(8)),
        )
        return _network(*layers, last=nn.Sequential(nn.Tanh(), nn.Linear(8, 5)), shape=(6,))


#: Network -> its parameters whose gradient is zero in exact arithmetic: shifts in front of a batch norm.
ZERO_GRADIENTS = {
    "bottleneck": {"block0/net.7.bias"},
    "norm_chain": {"block0/net.0.bias", "block0/net.1.bias", "block0/net.2.bias", "block0/net.5.bias"},
}
