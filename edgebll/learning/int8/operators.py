"""Operators of PyTorch that int8 activations are made of. Graphs have ONNX operators in their place.

    int8_scale(x)          0-d: the smallest power of two s with |x| <= 127 s everywhere, and at least 2^-86
    to_int8(x, s)          int8: x / s to the nearest whole number, halves to the even one, cut to -128 ... 127
    from_int8(q, s)        float32: q * s

Because s is a power of two, x / s and q * s are exact, and rounding what is rounded already changes nothing, nor does rounding
any part of it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: What the largest magnitude counts as at least, so that a tensor of zeros has a scale.
LEAST = 2.0**-80
#: Units that the largest magnitude has at most.
UNITS = 127


def _int8_scale(x: Tensor) -> Tensor:
    largest = x.detach().abs().amax().clamp(min=LEAST)
    fraction, exponent = torch.frexp(largest)  # largest = fraction * 2^exponent, 0.5 <= fraction < 1
    short = (fraction > UNITS / 128).to(exponent.dtype)
    scale = torch.ldexp(torch.ones_like(largest), exponent - 7 + short)
    return torch.where(largest.isfinite(), scale, torch.full_like(largest, float("nan")))


def _to_int8(x: Tensor, scale: Tensor) -> Tensor:
    return (x.detach() / scale).round().clamp(-128, 127).to(torch.int8)


def _from_int8(numbers: Tensor, scale: Tensor) -> Tensor:
    return numbers.to(scale.dtype) * scale


def _fake_scale(x: Tensor) -> Tensor:
    return x.new_empty(())


def _fake_int8(x: Tensor, scale: Tensor) -> Tensor:
    return torch.empty_like(x, dtype=torch.int8)


def _fake_floats(numbers: Tensor, scale: Tensor) -> Tensor:
    return torch.empty_like(numbers, dtype=scale.dtype)


_LIBRARY: Any = torch.library.Library("edgebll", "DEF")  # type: ignore[no-untyped-call]
for _signature, _function, _fake in (
    ("int8_scale(Tensor x) -> Tensor", _int8_scale, _fake_scale),
    ("to_int8(Tensor x, Tensor scale) -> Tensor", _to_int8, _fake_int8),
    ("from_int8(Tensor numbers, Tensor scale) -> Tensor", _from_int8, _fake_floats),
):
    _name = _LIBRARY.define(_signature)
    _LIBRARY.impl(_name, _function, "CompositeExplicitAutograd")
    torch.library.register_fake(f"edgebll::{_name}", _fake, lib=_LIBRARY)


def rounded_to_int8(x: Tensor) -> Tensor:
    """A tensor on a grid of 255 numbers of its own, of the same shape and dtype; no gradient passes.

    Args:
        x: of float32.

    Examples:
        >>> import torch
        >>> from edgebll.learning.int8.operators import rounded_to_int8
        >>> rounded_to_int8(torch.tensor([0.3, -1.0, 127.0])).tolist()
        [0.0, -1.0, 127.0]
    """
    scale = torch.ops.edgebll.int8_scale(x)
    rounded: Tensor = torch.ops.edgebll.from_int8(torch.ops.edgebll.to_int8(x, scale), scale)
    return rounded
