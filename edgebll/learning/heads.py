"""Auxiliary networks: classifiers on a block's output that are trained with the block and never exported for inference.

Blocks give volumes (F, D, H, W), maps (F, H, W), sequences (F, L) or features (F,); layers are chosen by the number of axes in
space. Of more axes see `edgebll.learning.folded`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: By number of axes in space.
CONVOLUTIONS: tuple[type[nn.Conv1d] | type[nn.Conv2d] | type[nn.Conv3d], ...] = (nn.Conv1d, nn.Conv1d, nn.Conv2d, nn.Conv3d)
BATCH_NORMS: tuple[type[nn.BatchNorm1d] | type[nn.BatchNorm2d] | type[nn.BatchNorm3d], ...] = (
    nn.BatchNorm1d,
    nn.BatchNorm1d,
    nn.BatchNorm2d,
    nn.BatchNorm3d,
)
_POOLS: tuple[Callable[[Any], nn.Module], ...] = (
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d,
)
#: Maps up to this side keep their size in `conv_head`: those of the last stage of the papers' networks for 32 x 32 images.
_SMALL_MAP = 8


class PredictiveHead(nn.Module):
    """logits = W flatten(pool(a)) + b, with average pooling to at most `size` cells a side.

    W (C, F * cells) starts uniform in +-1/sqrt(fan in), b (C) at zero.

    Args:
        output_shape: shape of one sample of a: (F,), (F, L), (F, H, W) or (F, D, H, W).
        num_classes: C.
        size: cells a side; 1 is global.
    """

    def __init__(self, output_shape: tuple[int, ...], num_classes: int, size: int = 3) -> None:
        super().__init__()
        cells = tuple(min(size, extent) for extent in output_shape[1:])
        self.pool = pool_to(output_shape[1:], cells)
        fan_in = output_shape[0] * math.prod(cells)
        bound = 1 / math.sqrt(fan_in)
        self.weight = nn.Parameter(torch.empty(num_classes, fan_in).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def forward(self, a: Tensor) -> Tensor:
        """Class scores (B, C) of the block output a (B, *output_shape)."""
        return F.linear(self.pool(a).flatten(1), self.weight, self.bias)


def pool_to(space: tuple[int, ...], cells: tuple[int, ...]) -> nn.Module:
    """Average pooling of maps of shape `space` to maps of shape `cells`, of 0 to 3 axes."""
    return nn.Identity() if cells == space else _POOLS[len(cells)](cells)


def shape_after(module: nn.Module, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of one sample of what a new module, in training mode, makes of samples of `shape`."""
    module.eval()
    with torch.no_grad():
        after = tuple(module(torch.zeros(2, *shape)).shape[1:])
    module.train()
    return after


def linear_layers(features: int, hidden: list[int], *, batch_norm: bool) -> list[nn.Module]:
    """[Linear, batch norm, ReLU] for each hidden width, from `features`; without batch norm the linear layers have a bias."""
    layers: list[nn.Module] = []
    for width in hidden:
        layers.append(nn.Linear(features, width, bias=not batch_norm))
        layers += [nn.BatchNorm1d(width)] if batch_norm else []
        layers.append(nn.ReLU())
        features = width
    return layers


def half_head(output_shape: tuple[int, ...], num_classes: int, size: int = 3) -> nn.Module:
    """A map of half the side, a convolution of 3 a side to as many channels with batch norm and ReLU, and a `PredictiveHead`.

    It costs an eighth of a residual block's products, `conv_head` a quarter to a half. Without space the last is left.

    Args:
        output_shape: shape of one sample of the block's output.
        num_classes: C.
        size: cells a side of the last map.
    """
    features, space = output_shape[0], output_shape[1:]
    if not space:
        return PredictiveHead(output_shape, num_classes, size)
    half, axes = tuple(math.ceil(extent / 2) for extent in space), len(space)
    convolution = CONVOLUTIONS[axes](features, features, 3, 1, 1, bias=False)
    layers = [pool_to(space, half), convolution, BATCH_NORMS[axes](features), nn.ReLU()]
    return nn.Sequential(*layers, PredictiveHead((features, *half), num_classes, size))


def conv_head(output_shape: tuple[int, ...], num_classes: int, hidden: int = 128) -> nn.Module:
    """A convolution of 3 a side with batch norm and ReLU, global average pooling, and two linear layers with ReLU in between.

    The convolutional classifier of the BackLink paper (section 3.1: one 3x3 convolution, two linear layers, 128 hidden
    features). It gives neither width nor stride; they are those of the head "1c2f" of InfoPro, to which it compares: the
    convolution doubles the channels with stride 2, and keeps both on maps of the last stage. Without space only the linear
    layers are left.
    """
    features, axes = output_shape[0], len(output_shape) - 1
    layers: list[nn.Module] = []
    if axes:
        grows = max(output_shape[1:]) > _SMALL_MAP
        width = 2 * features if grows else features
        layers.append(CONVOLUTIONS[axes](features, width, 3, 2 if grows else 1, 1, bias=False))
        layers += [BATCH_NORMS[axes](width), nn.ReLU(), pool_to(output_shape[1:], (1,) * axes), nn.Flatten()]
        features = width
    return nn.Sequential(*layers, *linear_layers(features, [hidden], batch_norm=False), nn.Linear(hidden, num_classes))
