"""nn.EmbeddingBag: rows of a table, reduced a bag at a time. Equal bags are an axis, others a mask (bags, rows)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sum, mean or maximum of the rows of every bag, (bags, E); of an empty bag 0."""
    if max_norm is not None or scale_grad_by_freq:
        raise ValueError("embedding_bag with max_norm or scale_grad_by_freq has no static form; leave the option out")
    if input.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"embedding_bag takes integer indices, not {input.dtype}")
    padding = None if padding_idx is None else padding_idx % weight.shape[0]
    rows = F.embedding(input, weight, padding)
    kept = torch.ones_like(input, dtype=torch.bool) if padding is None else input != padding
    if input.ndim == 1:
        if offsets is None:
            raise ValueError("embedding_bag needs offsets for indices of one axis")
        members = _members(offsets[:-1] if include_last_offset else offsets, input.shape[0])
        rows, kept = rows.unsqueeze(0), kept.unsqueeze(0) & members
        per_sample_weights = None if per_sample_weights is None else per_sample_weights.unsqueeze(0)
    return _reduced(rows, kept, mode, per_sample_weights)


def _members(offsets: Tensor, count: int) -> Tensor:
    """Whether an index lies in a bag, (bags, count): behind the bag's offset and in front of the next one's."""
    begun = offsets.unsqueeze(1) <= torch.arange(count)
    ended = torch.cat([begun[1:], torch.zeros_like(begun[:1])])
    return begun & ~ended


def _reduced(rows: Tensor, kept: Tensor, mode: str, weights: Tensor | None) -> Tensor:
    """(bags or 1, n, E) with the mask (bags, n) to (bags, E)."""
    if mode == "max":
        lowest = torch.where(kept.unsqueeze(-1), rows, -torch.inf).max(1).values
        return torch.where(kept.any(1, keepdim=True), lowest, 0.0)
    factors = kept.to(rows.dtype) if weights is None else kept.to(rows.dtype) * weights
    one_row = rows.shape[0] == 1 and kept.shape[0] != 1
    total = factors @ rows[0] if one_row else (factors.unsqueeze(1) @ rows).squeeze(1)
    if mode == "sum":
        return total
    return total / kept.sum(1, keepdim=True).clamp_min(1).to(rows.dtype)
