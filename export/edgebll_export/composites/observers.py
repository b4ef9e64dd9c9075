"""Fake quantisation with the range of what was seen so far: a moving average of minimum and maximum, kept in buffers."""

from __future__ import annotations

import torch
from torch import Tensor

from edgebll.kernel.errors import ExportError
from edgebll_export.composites.fake_quantization import per_channel, per_tensor_by_tensors
from edgebll_export.composites.registry import composite

_SMALLEST_SCALE = 6.1e-5
_USELESS_SCALE = 0.1  # taken where all that was seen is 0


@composite("aten._fused_moving_avg_obs_fq_helper_functional.default", family="fake quantisation")
def observed(
    x: Tensor,
    observing: Tensor,
    quantizing: Tensor,
    running_min: Tensor,
    running_max: Tensor,
    scale: Tensor,
    zero_point: Tensor,
    averaging: float,
    low: int,
    high: int,
    axis: int,
    per_row: bool = False,
    symmetric: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """X on a grid whose range follows minimum and maximum; then the mask, the running range, scale and zero point."""
    if not running_min.numel():
        raise ExportError(
            "fake quantisation per channel does not know its number of channels yet; run one batch through the network first"
        )
    observes, quantizes = (flag.reshape(()) != 0 for flag in (observing, quantizing))
    smallest, largest = _seen(x, axis, per_row)
    kept_min, kept_max = (
        torch.where(observes, _followed(old, new.reshape(old.shape), averaging), old)
        for old, new in ((running_min, smallest), (running_max, largest))
    )
    new_scale, new_zero = _grid(kept_min, kept_max, low, high, symmetric)
    kept_scale = torch.where(quantizes, new_scale.reshape(scale.shape), scale)
    kept_zero = torch.where(quantizes, new_zero.reshape(zero_point.shape).to(zero_point.dtype), zero_point)
    if per_row:
        result, inside = per_channel(x, kept_scale, kept_zero, axis, low, high)
        result, inside = torch.where(quantizes, result, x), inside | ~quantizes
    else:
        result, inside = per_tensor_by_tensors(x, kept_scale, kept_zero, quantizing, low, high)
    return result, inside, kept_min, kept_max, kept_scale, kept_zero


def _seen(x: Tensor, axis: int, per_row: bool) -> tuple[Tensor, Tensor]:
    others = [place for place in range(x.ndim) if not per_row or place != axis % x.ndim]
    return x.amin(others), x.amax(others)


def _followed(old: Tensor, new: Tensor, averaging: float) -> Tensor:
    """The moving average; the first value as it is."""
    first = old.abs() == float("inf")
    before = torch.where(first, 0.0, old)
    return torch.where(first, new, before + averaging * (new - before))


def _grid(smallest: Tensor, largest: Tensor, low: int, high: int, symmetric: bool) -> tuple[Tensor, Tensor]:
    """Scale and zero point with which the integers from low to high cover a range that holds 0."""
    both_signs = (smallest < 0) & (largest > 0)
    if symmetric:
        below, above = -((high - low) // 2 + 1), (high - low) // 2
        widest = torch.maximum((smallest / below).abs(), (largest / above).abs())
        smallest, largest = (
            torch.where(both_signs, widest * bound, end) for bound, end in ((below, smallest), (above, largest))
        )
    smallest, largest = smallest.clamp_max(0.0), largest.clamp_min(0.0)
    scale = (largest - smallest) / (high - low)
    scale = torch.where(scale == 0, _USELESS_SCALE, scale)
    grown = (_SMALLEST_SCALE / scale).clamp_min(1.0)
    smallest, largest, scale = smallest * grown, largest * grown, scale.clamp_min(_SMALLEST_SCALE)
    from_min, from_max = low - smallest / scale, high - largest / scale
    surer = abs(low) + (smallest / scale).abs() < abs(high) + (largest / scale).abs()
    zero = torch.where(surer, from_min, from_max)
    if symmetric:
        zero = torch.where(both_signs, (low + high) / 2, zero)
    return scale, zero.clamp(low, high).round()
