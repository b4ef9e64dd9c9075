"""Rounding to int8 inside a gradient.

A rounded input passes its gradient as it is: nothing is cut, since the scale fits the largest number. The functions whose
gradient PyTorch computes from their result are rounded at the result, and so is their gradient's: what is kept from the forward
pass to the backward one is the rounded tensor alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from edgebll.learning.int8.operators import rounded_to_int8


class RoundedInput(torch.autograd.Function):
    """R(x), and its gradient is that of x."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """R(x)."""
        return rounded_to_int8(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """As it comes."""
        return gradient


class RoundedRelu(torch.autograd.Function):
    """y = R(relu(x)); the gradient passes where y > 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """R(relu(x))."""
        y = rounded_to_int8(torch.relu(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """As it comes where y > 0, else 0."""
        (y,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.threshold_backward(gradient, y, 0)
        return passed


class RoundedTanh(torch.autograd.Function):
    """y = R(tanh(x)), with the derivative 1 - y^2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """R(tanh(x))."""
        y = rounded_to_int8(torch.tanh(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient times 1 - y^2."""
        (y,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.tanh_backward(gradient, y)
        return passed


class RoundedSigmoid(torch.autograd.Function):
    """y = R(sigmoid(x)), with the derivative y (1 - y)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """R(sigmoid(x))."""
        y = rounded_to_int8(torch.sigmoid(x))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient times y (1 - y)."""
        (y,) = ctx.saved_tensors
        passed: Tensor = torch.ops.aten.sigmoid_backward(gradient, y)
        return passed
