"""Low-rank adaptation (LoRA) of a linear layer or convolution.

Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, "LoRA: Low-Rank Adaptation of Large Language Models" (2021, arXiv
2106.09685), equation 3: to the frozen weight W0 (out, in) a product of two small matrices is added,

    h = W0 x + (alpha / r) B A x,    B (out, r), A (r, in), r << min(in, out)

A starts random and B at zero, so that training begins with the network as it was. A convolution of kernel k is a linear layer
on patches of in * k * k numbers: A is a convolution to r channels with the kernel and stride of the layer, B one of kernel 1.
Where channels are in groups, B A is a kernel like the layer's own, which is small there.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning.modules.layer_proxy import LayerProxy

#: Layers that may be adapted.
Adaptable = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d
_POINTWISE = (F.conv1d, F.conv2d, F.conv3d)


class LowRank(LayerProxy):
    """A layer with a low-rank correction; see the module. Initial values are drawn from PyTorch's generator.

    Whoever reads its `weight` gets W0 + (alpha / r) B A, as a layer does that multiplies by its parts' weights itself.

    Args:
        layer: what is adapted; it becomes the child `base`, whose weights nobody trains.
        rank: r, at least 1.
        scale: alpha / r.
    """

    def __init__(self, layer: Adaptable, rank: int, scale: float) -> None:
        super().__init__()
        self.base: nn.Module = layer  # a rule may put another one here
        self.scale = scale
        weight = layer.weight
        self.lora_a = nn.Parameter(torch.empty(rank, *weight.shape[1:], dtype=weight.dtype))
        self.lora_b = nn.Parameter(torch.zeros(weight.shape[0], rank, dtype=weight.dtype))
        nn.init.kaiming_uniform_(self.lora_a, a=math.sqrt(5))
        self.stand_for(layer)

    @property
    def weight(self) -> Tensor:
        """The corrected weight, of the layer's own shape."""
        base: Any = self.base
        own: Tensor = base.weight
        return own + self.scale * self._kernel(own)

    @property
    def bias(self) -> Tensor | None:
        """The layer's own."""
        base: Any = self.base
        own: Tensor | None = base.bias
        return own

    def forward(self, x: Tensor) -> Tensor:
        """h, of the shape that the layer gives."""
        base: Tensor = self.base(x)
        return base + self.scale * self._correction(x)

    def _correction(self, x: Tensor) -> Tensor:
        layer: Any = self._layer[0]
        if isinstance(layer, nn.Linear):
            return F.linear(F.linear(x, self.lora_a), self.lora_b)
        if layer.groups > 1:
            corrected: Tensor = layer._conv_forward(x, self._kernel(layer.weight), None)
            return corrected
        axes = len(layer.kernel_size)
        reduced = layer._conv_forward(x, self.lora_a, None)
        return _POINTWISE[axes - 1](reduced, self.lora_b.reshape(*self.lora_b.shape, *(1,) * axes))

    def _kernel(self, weight: Tensor) -> Tensor:
        """B A in the shape of a weight."""
        return (self.lora_b @ self.lora_a.flatten(1)).reshape(weight.shape)
