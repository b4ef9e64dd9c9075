"""Multi-head attention whose dropout of attention weights is seeded, in place of PyTorch's, which draws inside one function."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning.modules.seeded_dropout import SeededDropout


class SeededAttention(nn.Module):
    """nn.MultiheadAttention in training mode, with seeded dropout; in evaluation mode the layer itself.

    Args:
        own: the layer, whose tensors are used as they are at each call.
    """

    def __init__(self, own: nn.MultiheadAttention) -> None:
        super().__init__()
        self.dropout_layer = SeededDropout(own.dropout)
        self._own = [own]  # in a list: its tensors are the block's already

    def __getattr__(self, name: str) -> Any:
        """What encoder layers ask their attention for, such as batch_first."""
        own = self.__dict__.get("_own")
        return super().__getattr__(name) if own is None or name in self._modules else getattr(own[0], name)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As nn.MultiheadAttention; a causal hint counts only together with the mask that says so, as there."""
        own = self._own[0]
        options = (key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal)
        if not self.training:
            result: tuple[Tensor, Tensor | None] = own(query, key, value, *options)
            return result
        unbatched = query.dim() == 2
        if unbatched:
            query, key, value = (x.unsqueeze(0) for x in (query, key, value))
        elif not own.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        q, k, v = (_heads(x, own.num_heads) for x in _with_biases(own, *_projected(own, query, key, value)))
        scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])
        if attn_mask is not None:
            mask = attn_mask.reshape(-1, own.num_heads, *attn_mask.shape[1:]) if attn_mask.dim() == 3 else attn_mask
            scores = scores + _additive(mask, scores)
        if key_padding_mask is not None:
            padding = key_padding_mask.unsqueeze(0) if key_padding_mask.dim() == 1 else key_padding_mask
            scores = scores + _additive(padding, scores)[:, None, None]
        weights = self.dropout_layer(scores.softmax(-1))
        a = own.out_proj((weights @ v).transpose(1, 2).flatten(2))
        told = (weights.mean(1) if average_attn_weights else weights) if need_weights else None
        if unbatched:
            return a.squeeze(0), None if told is None else told.squeeze(0)
        return a if own.batch_first else a.transpose(0, 1), told


def _projected(own: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor) -> list[Tensor]:
    if own._qkv_same_embed_dim:
        weights = own.in_proj_weight.chunk(3)
    else:
        weights = (own.q_proj_weight, own.k_proj_weight, own.v_proj_weight)
    biases = (None, None, None) if own.in_proj_bias is None else own.in_proj_bias.chunk(3)
    return [F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True)]


def _with_biases(own: nn.MultiheadAttention, q: Tensor, k: Tensor, v: Tensor) -> list[Tensor]:
    """Keys and values with the positions that bias_kv and add_zero_attn append."""
    if own.bias_k is not None and own.bias_v is not None:
        k, v = (torch.cat([x, b.expand(x.shape[0], 1, -1)], 1) for x, b in ((k, own.bias_k), (v, own.bias_v)))
    if own.add_zero_attn:
        k, v = (F.pad(x, (0, 0, 0, 1)) for x in (k, v))
    return [q, k, v]


def _heads(x: Tensor, count: int) -> Tensor:
    """(B, L, E) to (B, heads, L, E / heads)."""
    return x.reshape(*x.shape[:-1], count, x.shape[-1] // count).transpose(1, 2)


def _additive(mask: Tensor, scores: Tensor) -> Tensor:
    """A mask to be added: minus infinity where a truth value forbids, zero for positions that were appended to the keys."""
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, -math.inf)
    return F.pad(mask.to(scores.dtype), (0, scores.shape[-1] - mask.shape[-1]))
