"""Feedback Alignment (FA): backpropagation through fixed random kernels instead of the layers' own.

Lillicrap, Cownden, Tweed and Akerman (2014, arXiv 1411.0247), on every convolution and linear layer as in the BLL paper:

    forward    z = W x + b
    backward   dL/dx = B^T dL/dz  (W^T in backpropagation),   dL/dW = dL/dz x^T and dL/db exact

The kernels B are Kaiming-uniform, +-sqrt(6 / ((1 + slope^2) fan_in)), and belong to the state, but nothing changes them. All
other layers have their exact gradient.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning.modules.layer_proxy import LayerProxy
from edgebll.learning.objective import BlockPlace
from edgebll.learning.rule import Rule

_Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class FeedbackAlignment(Rule):
    """Feedback Alignment through the whole network.

    Attributes:
        slope: of the Kaiming initialisation; sqrt(5), PyTorch's for weights, gives +-1/sqrt(fan_in).
        feedback_seed: decides the kernels B.

    Examples:
        >>> from edgebll.learning import FeedbackAlignment
        >>> FeedbackAlignment.one_block
        True
    """

    slope: float = math.sqrt(5.0)
    feedback_seed: int = 0

    name: ClassVar[str] = "fa"
    summary: ClassVar[str] = "Feedback Alignment: errors travel back through fixed random kernels B."
    equation: ClassVar[str] = "L = CE(logits, y), with dL/dx = B^T dL/dz in every convolution and linear layer"
    one_block: ClassVar[bool] = True

    def prepare(self, block: nn.Module, place: BlockPlace) -> nn.Module:
        """A copy of the block with convolutions and linear layers that propagate errors through B."""
        generator = torch.Generator().manual_seed(self.feedback_seed)
        replaced: dict[nn.Module, nn.Module] = {}
        root = nn.ModuleDict({"block": copy.deepcopy(block)})
        for parent in list(root.modules()):
            for name, layer in list(parent._modules.items()):  # named_children leaves out a layer's second name
                if isinstance(layer, (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)):
                    if layer not in replaced:
                        replaced[layer] = AlignedLayer(layer, self.slope, generator)
                    setattr(parent, name, replaced[layer])
        return root["block"]


class AlignedLayer(LayerProxy):
    """A linear layer or convolution that propagates errors through the buffer `feedback` instead of its weight."""

    feedback: Tensor

    def __init__(self, layer: nn.Linear | _Convolution, slope: float, generator: torch.Generator) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        feedback = torch.empty_like(layer.weight, requires_grad=False)
        nn.init.kaiming_uniform_(feedback, a=slope, generator=generator)
        self.register_buffer("feedback", feedback)
        self.stand_for(layer)

    def forward(self, x: Tensor) -> Tensor:
        """What the layer returns."""
        layer: Any = self._layer[0]
        result: Tensor
        if isinstance(layer, nn.Linear):
            result = _Linear.apply(x, self.weight, self.bias, self.feedback)  # type: ignore[no-untyped-call]
            return result
        padding: Any = layer.padding
        if layer.padding_mode != "zeros" or isinstance(padding, str):
            mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
            x, padding = F.pad(x, layer._reversed_padding_repeated_twice, mode), [0] * len(layer.stride)
        geometry = (list(layer.stride), list(padding), list(layer.dilation), False, [0] * len(layer.stride), layer.groups)
        result = _Convolve.apply(x, self.weight, self.bias, self.feedback, geometry)  # type: ignore[no-untyped-call]
        return result


class _Linear(torch.autograd.Function):
    """z = W x + b with dL/dx = B^T dL/dz."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor) -> Tensor:
        ctx.save_for_backward(x, feedback)
        return F.linear(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, feedback = (value.to(error.dtype) for value in ctx.saved_tensors)
        of_x, of_weight, of_bias, _ = ctx.needs_input_grad
        rows = error.flatten(0, -2)
        return (
            error @ feedback if of_x else None,
            rows.t() @ x.flatten(0, -2) if of_weight else None,
            rows.sum(0) if of_bias else None,
            None,
        )


class _Convolve(torch.autograd.Function):
    """A convolution that propagates errors through B. Of the weight its own gradient needs only the shape, which B has too."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, feedback: Tensor, geometry: tuple[Any, ...]
    ) -> Tensor:
        ctx.save_for_backward(x, feedback)
        ctx.geometry = geometry
        stride, padding, dilation, *_, groups = geometry
        convolve = (F.conv1d, F.conv2d, F.conv3d)[len(stride) - 1]
        return convolve(x, weight, bias, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor | None, ...]:
        x, feedback = (value.to(error.dtype) for value in ctx.saved_tensors)
        wanted = list(ctx.needs_input_grad[:3])
        sizes = [feedback.shape[0]] if wanted[2] else None
        found = torch.ops.aten.convolution_backward(error, x, feedback, sizes, *ctx.geometry, wanted)
        return (*found, None, None)
