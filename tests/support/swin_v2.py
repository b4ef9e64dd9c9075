"""A block of Swin Transformer V2, written out: shifted windows, cosine attention, a position bias from a small network."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SwinV2Block(nn.Module):
    """Residual post-norm attention in windows, and a perceptron, on (B, H, W, C).

    Args:
        dim: C. heads: of the attention. window: side of a window. shift: how far the windows are moved.
    """

    def __init__(self, dim: int = 8, heads: int = 2, window: int = 2, shift: int = 1, size: int = 4) -> None:
        super().__init__()
        self.heads, self.window, self.shift = heads, window, shift
        self.qkv, self.project = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(heads, 1, 1)))
        self.bias = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, heads, bias=False))
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 16), nn.GELU(), nn.Linear(16, dim))
        steps = torch.arange(window)
        at = torch.stack(torch.meshgrid(steps, steps, indexing="ij")).flatten(1)
        offsets = at[:, :, None] - at[:, None, :] + window - 1
        self.register_buffer("index", offsets[0] * (2 * window - 1) + offsets[1])
        far = torch.arange(1 - window, window).float()
        table = torch.stack(torch.meshgrid(far, far, indexing="ij"), -1) / max(window - 1, 1) * 8
        self.register_buffer("table", table.sign() * (table.abs() + 1).log2() / 3)
        self.size = size

    def _mask(self, x: Tensor) -> Tensor:
        """-100 between places of a window that the shift brought together from different sides."""
        sides = x.new_zeros(self.size, self.size)
        bands = [(0, -self.window), (-self.window, -self.shift), (-self.shift, None)]
        for number, (rows, columns) in enumerate((r, c) for r in bands for c in bands):
            sides[rows[0] : rows[1], columns[0] : columns[1]] = number
        sides = self._windows(sides[None, :, :, None])[..., 0]
        return (sides[:, None] - sides[:, :, None]).ne(0) * -100.0

    def _windows(self, x: Tensor) -> Tensor:
        batch, _, _, channels = x.shape
        count = self.size // self.window
        tiles = x.view(batch, count, self.window, count, self.window, channels).permute(0, 1, 3, 2, 4, 5)
        return tiles.reshape(batch * count * count, self.window**2, channels)

    def _attention(self, x: Tensor) -> Tensor:
        many, places, channels = x.shape
        q, k, v = self.qkv(x).view(many, places, 3, self.heads, channels // self.heads).permute(2, 0, 3, 1, 4)
        scores = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        scores = scores * torch.clamp(self.logit_scale, max=math.log(100.0)).exp()
        bias = self.bias(self.table).view(-1, self.heads)[self.index.flatten()].view(places, places, self.heads)
        scores = scores + 16 * torch.sigmoid(bias.permute(2, 0, 1))
        mask = self._mask(x)
        scores = scores.view(many // len(mask), len(mask), self.heads, places, places) + mask[:, None]
        weights = scores.view(many, self.heads, places, places).softmax(-1)
        return self.project((weights @ v).transpose(1, 2).reshape(many, places, channels))

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, channels = x.shape
        moved = torch.roll(x, (-self.shift, -self.shift), (1, 2))
        count = self.size // self.window
        seen = self._attention(self._windows(moved)).view(batch, count, count, self.window, self.window, channels)
        seen = seen.permute(0, 1, 3, 2, 4, 5).reshape(batch, height, width, channels)
        x = x + self.norm1(torch.roll(seen, (self.shift, self.shift), (1, 2)))
        return x + self.norm2(self.mlp(x))
