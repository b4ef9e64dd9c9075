"""Functions of PyTorch that are traced as others: the original looks at values, counts on strides, or has no gradient here.

A substitute is a plain function of tensors with the original's signature; autograd goes through it as through any code. Used
while tracing only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional as F

from edgebll_export.substitutes.bags import embedding_bag
from edgebll_export.substitutes.bilinear import bilinear
from edgebll_export.substitutes.ctc import ctc_loss
from edgebll_export.substitutes.one_hot import one_hot
from edgebll_export.substitutes.spectrogram import istft, stft

SUBSTITUTES: Mapping[Any, Callable[..., Any]] = {
    F.one_hot: one_hot,
    F.bilinear: bilinear,
    F.embedding_bag: embedding_bag,
    F.ctc_loss: ctc_loss,
    torch.stft: stft,
    torch.Tensor.stft: stft,
    torch.istft: istft,
    torch.Tensor.istft: istft,
}
