"""The local losses of every rule in plain PyTorch, for block outputs with three axes in space; no code of edgebll's is used.

Each takes the block output a (B, F, D, H, W), labels (B), the auxiliary network's tensors by name, the block's input x and a
dict that lasts as long as the training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

#: Of the cases in tests/unit/export/test_volumes.py: block outputs (B, 4, 4, 5, 4).
SPACE = (4, 5, 4)
CLASSES = 3
Weights = dict[str, Tensor]
Loss = Callable[[Tensor, Tensor, Weights, Tensor, dict[str, Any]], Tensor]


def one_hot(labels: Tensor) -> Tensor:
    return torch.eye(CLASSES)[labels]


def linear_head(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    pooled = F.adaptive_avg_pool3d(a, (3, 3, 3)).flatten(1)
    return F.cross_entropy(pooled @ w["weight"].t() + w["bias"], labels)


def conv_head(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    return F.cross_entropy(_scores(a, w, ""), labels)


def _scores(a: Tensor, w: Weights, at: str) -> Tensor:
    """A 3 x 3 x 3 convolution, batch norm, ReLU, the mean over space, two linear layers."""
    hidden = F.conv3d(a, w[f"{at}0.weight"], None, 1, 1)
    hidden = F.relu(_normed(hidden, w, f"{at}1")).mean((2, 3, 4))
    hidden = F.relu(F.linear(hidden, w[f"{at}5.weight"], w[f"{at}5.bias"]))
    return F.linear(hidden, w[f"{at}7.weight"], w[f"{at}7.bias"])


def _normed(x: Tensor, w: Weights, at: str) -> Tensor:
    running = w[f"{at}.running_mean"], w[f"{at}.running_var"]
    return F.batch_norm(x, *running, w[f"{at}.weight"], w[f"{at}.bias"], True)


def dgl(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    """Of one 1 x 1 x 1 convolution and one hidden layer, on a map reduced 4 times."""
    reduced = F.adaptive_avg_pool3d(a, (1, 2, 1))
    hidden = F.relu(_normed(F.conv3d(reduced, w["1.weight"]), w, "2")).flatten(1)
    hidden = F.relu(_normed(F.linear(hidden, w["6.weight"]), w, "7"))
    return F.cross_entropy(F.linear(hidden, w["9.weight"], w["9.bias"]), labels)


def pred(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    """A decoder of at most 100 inputs: each axis halved in turn until there are so few."""
    return _decoded(a, labels, w["linear.weight"], w["linear.bias"])


def _decoded(a: Tensor, labels: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(F.adaptive_avg_pool3d(a, (2, 3, 4)).flatten(1), weight, bias), labels)


def sim(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    mapped = F.conv3d(a, w["similarity.weight"], None, 1, 1)
    return (_similarity(mapped.flatten(2).std(2)) - _similarity(one_hot(labels))).pow(2).mean()


def _similarity(rows: Tensor) -> Tensor:
    centred = rows - rows.mean(1, keepdim=True)
    unit = centred / (centred.norm(dim=1, keepdim=True) + 1e-8)
    return (unit @ unit.t()).clamp(-1, 1)


def predsim(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    decoded = _decoded(a, labels, w["decoder.linear.weight"], w["decoder.linear.bias"])
    return 0.99 * sim(a, labels, w, x, memory) + 0.01 * decoded


def bll(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    """The match of the mean over space with class means of it, kept as moving averages, and the linear head's loss."""
    pooled = a.mean((2, 3, 4))
    targets = memory.setdefault("targets", torch.zeros(CLASSES, a.shape[1]))
    for c in labels.unique():
        targets[c] = 0.9 * targets[c] + 0.1 * pooled[labels == c].detach().mean(0)
    match = (pooled - targets[labels]).pow(2).sum(1).mean() / 8
    return match + linear_head(a, labels, w, x, memory)


def auglocal(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    """Of one unit, which is a linear layer along the last axis and tanh, and a linear layer on the mean over space."""
    first, second = sorted({name.rpartition(".")[0] for name in w})
    hidden = torch.tanh(F.linear(a, w[f"{first}.weight"], w[f"{first}.bias"])).mean((2, 3, 4))
    return F.cross_entropy(F.linear(hidden, w[f"{second}.weight"], w[f"{second}.bias"]), labels)


def infopro(a: Tensor, labels: Tensor, w: Weights, x: Tensor, memory: dict[str, Any]) -> Tensor:
    """With pixels of mean 0.5 and standard deviation 0.25."""
    stretched = F.interpolate(a, x.shape[2:], mode="trilinear", align_corners=True)
    hidden = F.relu(_normed(F.conv3d(stretched, w["decoder.1.weight"], None, 1, 1), w, "decoder.2"))
    pixels = torch.sigmoid(F.conv3d(hidden, w["decoder.4.weight"], w["decoder.4.bias"], 1, 1))
    wanted = (x * 0.25 + 0.5).clamp(0, 1)
    reconstruction = F.binary_cross_entropy(pixels, wanted)
    return 5 * reconstruction + 0.5 * F.cross_entropy(_scores(a, w, "classifier."), labels)


#: Rule and options -> its loss.
LOSSES: dict[str, tuple[str, dict[str, Any], Loss]] = {
    "bll": ("bll", {}, bll),
    "greedy": ("greedy", {}, linear_head),
    "greedy, conv": ("greedy", {"classifier": "conv", "hidden": 8}, conv_head),
    "dgl": ("dgl", {"convolutions": 1, "hidden_layers": 1}, dgl),
    "pred": ("pred", {"decoder_size": 100}, pred),
    "sim": ("sim", {}, sim),
    "predsim": ("predsim", {"decoder_size": 100}, predsim),
    "auglocal": ("auglocal", {}, auglocal),
    "infopro": ("infopro", {"mean": "0.5", "std": "0.25", "hidden": 8, "decoder": 3}, infopro),
}
