"""Layers of the transformers: attention with one or several heads, of all positions or of those before, and embeddings.

Layers normalise before they act ("pre-LN", Xiong et al. 2020, arXiv 2002.04745), so that twenty of them train without warm-up:

    h = x + attention(norm(x)),   layer(x) = h + linear(act(linear(norm(h))))
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Stands for minus infinity in scores: its softmax is exactly 0, and float16 can hold it.
_NEVER = -1e4


class Attention(nn.Module):
    """Self-attention: of each head softmax(Q K^T / sqrt(D / heads)) V, with Q, K and V linear maps of x; then a linear map.

    Args:
        dim: D.
        heads: into which Q, K and V are cut.
        causal: whether a position sees only itself and those before it.
    """

    def __init__(self, dim: int, heads: int = 1, causal: bool = False) -> None:
        super().__init__()
        self.mix = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.heads, self.causal = heads, causal

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        query, key, value = (self._split(part) for part in self.mix(x).chunk(3, dim=-1))
        scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(x.shape[-1] // self.heads))
        if self.causal:
            later = torch.ones(x.shape[1], x.shape[1], device=x.device).triu(1)
            scores = scores + _NEVER * later
        mixed = F.softmax(scores, dim=-1) @ value
        attended: Tensor = self.out(mixed if self.heads == 1 else mixed.transpose(1, 2).flatten(2))
        return attended

    def _split(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, heads, T, D / heads); as it is where there is one head."""
        return x if self.heads == 1 else x.reshape(*x.shape[:-1], self.heads, -1).transpose(1, 2)


class TransformerLayer(nn.Module):
    """Attention and two linear layers, each behind a layer norm and beside a shortcut.

    Args:
        dim: features of a position.
        hidden: features between the two linear layers.
        heads: of the attention.
        causal: whether a position sees only itself and those before it; the activation is GELU then, else ReLU.
    """

    def __init__(self, dim: int, hidden: int, heads: int = 1, causal: bool = False) -> None:
        super().__init__()
        self.norm1, self.attention = nn.LayerNorm(dim), Attention(dim, heads, causal)
        self.norm2, self.linear1, self.linear2 = nn.LayerNorm(dim), nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.act = nn.GELU() if causal else nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        x = x + self.attention(self.norm1(x))
        mixed: Tensor = x + self.linear2(self.act(self.linear1(self.norm2(x))))
        return mixed


class Embedding(nn.Module):
    """A linear map of each position's features plus a vector for the position, fixed or learnt from the same start."""

    positions: Tensor

    def __init__(self, input_shape: tuple[int, ...], dim: int, learned: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(input_shape[1], dim)
        positions = sinusoids(input_shape[0], dim)
        if learned:
            self.positions = nn.Parameter(positions)
        else:
            self.register_buffer("positions", positions)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, features) to (B, T, D)."""
        embedded: Tensor = self.linear(x) + self.positions
        return embedded


def sinusoids(length: int, dim: int) -> Tensor:
    """Sines and cosines of the position at wavelengths from 2 pi to 10000 * 2 pi (Vaswani et al. 2017, section 3.5): (T, D)."""
    rates = 10000.0 ** (-torch.arange(0, dim, 2) / dim)
    angles = torch.arange(length)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :dim]
