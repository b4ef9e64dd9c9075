"""Eligibility traces of what comes into a layer: how its potentials depend on its weights, carried forward in time.

A layer's currents are c_t = W x_t + b, and without reset its potentials are a linear filter of them, sum_k f_k c_(t-k). So

    dv_t / dW_ij = f_0 delta_i E_j,t       E_t = sum_k f_k / f_0 x_(t-k)       of a weight
    dv_t / db_i  = f_0 e_t                 e_t = sum_k f_k / f_0               of a bias

and neurons that share their time constants share E: one number for each input of the layer, not for each weight. A leaky filter
is E_t = d E_(t-1) + x_t with d = 1 - dt / tau; a synapse and a membrane are two of them in a row. That is DECOLLE's P (and Q,
the first of two), and e-prop's filtered presynaptic spikes, up to the constant f_0.

`attached` puts such a trace behind a value: forward it is the value, backward what made the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from edgebll.learning.online.layers import NORMS, OnlineLayer


def advanced(stages: Sequence[Tensor], decays: Sequence[float], x: Tensor | float) -> list[Tensor]:
    """The stages of a filter after one more time step; the last one is the trace.

    Args:
        stages: before, each of x's shape.
        decays: d of each stage.
        x: what comes in.
    """
    after = list[Tensor]()
    for stage, decay in zip(stages, decays, strict=True):
        after.append((after[-1] if after else x) + (stage if decay == 1.0 else decay * stage))
    return after


def attached(value: Tensor, carrier: Tensor) -> Tensor:
    """The value, whose gradient goes to the carrier, of the same shape; nothing reads the carrier's own numbers."""
    result: Tensor = _Attached.apply(value, carrier)  # type: ignore[no-untyped-call]
    return result


class _Attached(torch.autograd.Function):
    @staticmethod
    def forward(value: Tensor, carrier: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, error: Tensor) -> tuple[None, Tensor]:
        return None, error


def currents(layer: OnlineLayer, x: Tensor, trace: Tensor) -> tuple[Tensor, Tensor]:
    """What a layer's weights make of an input, and, for the gradient, of its trace.

    Batch norm in training mode is affine with the statistics of the input, which gradients reach. Where samples are cut in
    time, those of a chunk stand for the statistics of the chunks before.

    Args:
        layer: whose weights.
        x: (B, ...).
        trace: (B, ...) too, divided by that of a constant input 1.
    """
    for weight in layer.weights:
        before, x = x, weight(x)
        trace = _normalised(weight, before, trace) if isinstance(weight, NORMS) and weight.training else weight(trace)
    return x, trace


def _normalised(norm: Any, x: Tensor, trace: Tensor) -> Tensor:
    """The trace as a batch norm in training makes it with the statistics of x."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean = x.mean(axes, keepdim=True)
    scale = ((x - mean).square().mean(axes, keepdim=True) + norm.eps).rsqrt()
    normal: Tensor = (trace - mean) * scale
    if norm.weight is None:
        return normal
    scaled: Tensor = normal * norm.weight.reshape(mean.shape) + norm.bias.reshape(mean.shape)
    return scaled
