"""Layers and losses written from their formulas, sample by sample and element by element, in float64.

They share nothing with what they check, not even PyTorch's operators beyond scalar arithmetic and stacking; gradients are those
of this arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from edgebll.learning import Objective

#: What auxiliary networks are made of: name -> tensor, as in state_dict().
Weights = dict[str, Tensor]


def total(terms: Sequence[Tensor]) -> Tensor:
    result = torch.zeros((), dtype=torch.float64)
    for term in terms:
        result = result + term
    return result


def cross_entropy(logits: Tensor, labels: list[int], smoothing: float = 0.0) -> Tensor:
    """-1/B sum_n sum_c t_nc log softmax(logits_n)_c with t = (1 - e) onehot + e / C."""
    classes = logits.shape[1]
    terms = []
    for row, label in zip(logits, labels, strict=True):
        normalizer = torch.log(total([torch.exp(value) for value in row]))
        for c in range(classes):
            target = smoothing / classes + (1 - smoothing) * (1.0 if c == label else 0.0)
            terms.append(-target * (row[c] - normalizer))
    return total(terms) / len(labels)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """(B, F) to (B, G): z_g = sum_f w_gf x_f + b_g."""
    rows = []
    for sample in x:
        row = [total([w * v for w, v in zip(weight[g], sample, strict=True)]) for g in range(weight.shape[0])]
        rows.append(torch.stack(row) + (0.0 if bias is None else bias))
    return torch.stack(rows)


def convolution(x: Tensor, weight: Tensor, stride: int = 1, padding: int = 0) -> Tensor:
    """(B, C, H, W) to (B, G, H', W'), zeros around, no bias."""
    batch, _, height, width = x.shape
    size = weight.shape[2]
    rows, columns = ((extent + 2 * padding - size) // stride + 1 for extent in (height, width))
    padded = torch.zeros(batch, x.shape[1], height + 2 * padding, width + 2 * padding, dtype=torch.float64)
    padded[:, :, padding : padding + height, padding : padding + width] = x
    out = []
    for n in range(batch):
        for g in range(weight.shape[0]):
            for i in range(rows):
                for j in range(columns):
                    window = padded[n, :, i * stride : i * stride + size, j * stride : j * stride + size]
                    out.append((window * weight[g]).sum())
    return torch.stack(out).reshape(batch, weight.shape[0], rows, columns)


def batch_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Each channel minus its mean over batch and space, over the root of its (biased) variance plus 1e-5."""
    channels = []
    for c in range(x.shape[1]):
        values = x[:, c]
        mean = values.sum() / values.numel()
        variance = ((values - mean) ** 2).sum() / values.numel()
        channels.append((values - mean) / torch.sqrt(variance + 1e-5) * weight[c] + bias[c])
    return torch.stack(channels, 1)


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.zeros_like(x))


def cells(x: Tensor, count: int) -> Tensor:
    """Average pooling (B, C, S, S) to n x n cells, n = count: cell i from pixel floor(i S / n) to below ceil((i + 1) S / n)."""
    side = x.shape[2]
    edges = [(i * side // count, math.ceil((i + 1) * side / count)) for i in range(count)]
    rows = [torch.stack([x[:, :, a:b, c:d].sum((2, 3)) / ((b - a) * (d - c)) for c, d in edges], 2) for a, b in edges]
    return torch.stack(rows, 2)


def check(
    objective: Objective,
    naive: Callable[[Tensor, Weights], Tensor],
    a: Tensor,
    y: Tensor,
    *,
    feedback: Weights | None = None,
    learns: bool = True,
) -> None:
    """Loss and gradients by the block's output and every auxiliary parameter, against those of `naive(a, weights)`.

    feedback: the feedback head's tensors. learns: whether the block's output has a gradient at all.
    """
    head = lively(objective.head())
    weights = {name: value.detach().clone().requires_grad_() for name, value in head.named_parameters()}
    ours, theirs = (a.clone().requires_grad_() for _ in range(2))
    loss = objective.loss(head, feedback or {}, ours, y)[0]
    expected = naive(theirs, weights)
    torch.testing.assert_close(loss, expected, rtol=1e-9, atol=1e-12)
    actual = torch.autograd.grad(loss, [ours, *head.parameters()])
    exact = torch.autograd.grad(expected, [theirs, *weights.values()])
    for name, one, other in zip(["a", *weights], actual, exact, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-7, atol=1e-10, msg=lambda text, name=name: f"{name}: {text}")
    assert (float(actual[0].abs().max()) > 1e-9) == learns


def lively(head: nn.Module) -> nn.Module:
    """The module in float64 and training mode, with no parameter at a special value such as 0 or 1."""
    head.double().train()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return head


def normal(*shape: int, seed: int = 1) -> Tensor:
    """Seeded float64 normal numbers."""
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def one_hot(labels: list[int], classes: int) -> Tensor:
    """Labels as float64 (B, C)."""
    y = torch.zeros(len(labels), classes, dtype=torch.float64)
    for n, label in enumerate(labels):
        y[n, label] = 1.0
    return y
