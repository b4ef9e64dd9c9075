"""Fake quantisation: values rounded to a grid of integers and back, with a gradient inside the grid's range."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from edgebll_export.composites.registry import composite

_FAMILY = "fake quantisation"
Scale = Tensor | float


def _steps(x: Tensor, scale: Scale, zero_point: Scale) -> Tensor:
    """Positions on the grid, as floats."""
    inverse = 1.0 / scale if isinstance(scale, Tensor) else float(np.float32(1) / np.float32(scale))
    return (x * inverse).round() + zero_point


def _quantized(x: Tensor, scale: Scale, zero_point: Scale, low: int, high: int) -> tuple[Tensor, Tensor]:
    """The values of the grid, and where x lies in its range."""
    steps = _steps(x, scale, zero_point)
    result = (steps.clamp(low, high) - zero_point) * scale
    return result.to(x.dtype), (steps >= low) & (steps <= high)


def _along(vector: Tensor, x: Tensor, axis: int) -> Tensor:
    """A vector with an entry for each index of an axis of x."""
    return vector.to(torch.float32).reshape([-1 if place == axis % x.ndim else 1 for place in range(x.ndim)])


@composite("aten.fake_quantize_per_tensor_affine_cachemask.default", family=_FAMILY)
def per_tensor(x: Tensor, scale: float, zero_point: int, low: int, high: int) -> tuple[Tensor, Tensor]:
    """X on a grid with one scale and zero point, and where it lies in the range."""
    return _quantized(x, scale, zero_point, low, high)


@composite("aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams.default", family=_FAMILY)
def per_tensor_by_tensors(
    x: Tensor, scale: Tensor, zero_point: Tensor, enabled: Tensor, low: int, high: int
) -> tuple[Tensor, Tensor]:
    """The same with scale and zero point as tensors; x itself where it is not enabled."""
    one, zero, on = (value.reshape(()) for value in (scale, zero_point.to(torch.float32), enabled != 0))
    result, inside = _quantized(x, one, zero, low, high)
    return torch.where(on, result, x), inside | ~on


@composite("aten.fake_quantize_per_channel_affine_cachemask.default", family=_FAMILY)
def per_channel(x: Tensor, scale: Tensor, zero_point: Tensor, axis: int, low: int, high: int) -> tuple[Tensor, Tensor]:
    """The same with a scale and a zero point for each index of an axis."""
    return _quantized(x, _along(scale, x, axis), _along(zero_point, x, axis), low, high)


@composite("aten._fake_quantize_learnable_per_tensor_affine.default", family=_FAMILY)
def learnable(x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int, grad_factor: float = 1.0) -> Tensor:
    """X on a grid whose scale and zero point learn; the zero point is rounded."""
    zero = zero_point.reshape(()).round().clamp(low, high)
    return _quantized(x, scale.reshape(()), zero, low, high)[0]


@composite("aten._fake_quantize_learnable_per_tensor_affine_backward.default", family=_FAMILY)
def learnable_backward(
    grad: Tensor, x: Tensor, scale: Tensor, zero_point: Tensor, low: int, high: int, grad_factor: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, scale and zero point."""
    zero = torch.floor(zero_point.reshape(()) + 0.5).clamp(low, high)
    dx, *parts = _learnable_gradients(grad, x, scale.reshape(()), zero, low, high)
    d_scale, d_zero = ((part.sum() * grad_factor).reshape(1) for part in parts)
    return dx, d_scale, d_zero


@composite("aten._fake_quantize_learnable_per_channel_affine.default", family=_FAMILY)
def learnable_per_channel(
    x: Tensor, scale: Tensor, zero_point: Tensor, axis: int, low: int, high: int, grad_factor: float = 1.0
) -> Tensor:
    """The same with a scale and a zero point for each index of an axis."""
    zero = zero_point.round().clamp(low, high)
    return _quantized(x, _along(scale, x, axis), _along(zero, x, axis), low, high)[0]


@composite("aten._fake_quantize_learnable_per_channel_affine_backward.default", family=_FAMILY)
def learnable_per_channel_backward(
    grad: Tensor, x: Tensor, scale: Tensor, zero_point: Tensor, axis: int, low: int, high: int, grad_factor: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, scales and zero points."""
    zero = _along(zero_point.round().clamp(low, high), x, axis)
    dx, *parts = _learnable_gradients(grad, x, _along(scale, x, axis), zero, low, high)
    others = [place for place in range(x.ndim) if place != axis % x.ndim]
    d_scale, d_zero = ((part.sum(others) if others else part) * grad_factor for part in parts)
    return dx, d_scale, d_zero


def _learnable_gradients(
    grad: Tensor, x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of x, and of scale and zero point before they are summed up."""
    steps = _steps(x, scale, zero)
    held = steps.clamp(low, high)
    inside = steps == held
    by_scale = torch.where(inside, held - zero - x * (1.0 / scale), held - zero)
    return grad * inside, grad * by_scale, torch.where(inside, 0.0, -grad * scale)
