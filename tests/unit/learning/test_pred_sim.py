"""Pred, Sim and Pred-Sim against their formulas, sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
from support import naive
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BlockPlace, Pred, PredSim, Sim, make_rule
from edgebll.learning.rules.pred_sim import Decoder, decoder_cells, similarity_matrix

CLASSES = 4
#: One sample of class 0, none of class 2; all of one class; each class once.
BATCHES = {"absent and single classes": [0, 1, 1, 3, 3], "one class": [1, 1, 1], "one each": [0, 1, 2, 3], "one sample": [2]}
SHAPES = {"map": (5, 4, 4), "map of three channels": (3, 2, 2), "features": (6,)}


def naive_similarity(rows: list[Tensor]) -> list[list[Tensor]]:
    """Centred, divided by the norm plus 1e-8, then inner products, limited to [-1, 1]."""
    unit = []
    for row in rows:
        centred = row - row.sum() / len(row)
        unit.append(centred / (torch.sqrt((centred * centred).sum()) + 1e-8))
    products = [[naive.total(list(one * other)) for other in unit] for one in unit]
    return [[torch.clamp(value, -1.0, 1.0) for value in line] for line in products]


def naive_rows(h: Tensor) -> list[Tensor]:
    """Unbiased standard deviation over space by channel, for maps of more than three channels; else all values."""
    if h.dim() == 4 and h.shape[1] > 3 and h.shape[3] > 1:
        rows = []
        for sample in h:
            row = []
            for channel in sample:
                mean = channel.sum() / channel.numel()
                row.append(torch.sqrt(((channel - mean) ** 2).sum() / (channel.numel() - 1)))
            rows.append(torch.stack(row))
        return rows
    return [sample.reshape(-1) for sample in h]


def naive_loss(a: Tensor, weights: naive.Weights, labels: list[int], similarity: float, predict: float) -> Tensor:
    parts = []
    if similarity:
        mapping = weights["similarity.weight"]
        mapped = naive.convolution(a, mapping, padding=1) if a.dim() == 4 else naive.linear(a, mapping)
        ours = naive_similarity(naive_rows(mapped))
        wanted = naive_similarity(list(naive.one_hot(labels, CLASSES)))
        pairs = [(n, m) for n in range(len(labels)) for m in range(len(labels))]
        parts.append(similarity * naive.total([(ours[n][m] - wanted[n][m]) ** 2 for n, m in pairs]) / len(labels) ** 2)
    if predict:
        prefix = "decoder." if similarity else ""
        logits = naive.linear(a.reshape(len(labels), -1), weights[f"{prefix}linear.weight"], weights[f"{prefix}linear.bias"])
        parts.append(predict * naive.cross_entropy(logits, labels))
    return naive.total(parts)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("batch", BATCHES)
@pytest.mark.parametrize(
    ("rule", "similarity", "predict"),
    [(PredSim(), 0.99, 0.01), (PredSim(similarity=0.4, predict=2.0), 0.4, 2.0), (Sim(), 1.0, 0.0), (Pred(), 0.0, 1.0)],
)
def test_loss_and_gradients(rule: PredSim, similarity: float, predict: float, batch: str, shape: str) -> None:
    labels = BATCHES[batch]
    objective = rule.objective(BlockPlace(0, 2, SHAPES[shape], CLASSES))
    a = naive.normal(len(labels), *SHAPES[shape])
    y = naive.one_hot(labels, CLASSES)
    # one sample is always as similar to itself as it should be
    learns = predict > 0 or len(labels) > 1
    naive.check(objective, lambda h, weights: naive_loss(h, weights, labels, similarity, predict), a, y, learns=learns)


def test_the_target_sees_different_classes_as_slightly_opposed() -> None:
    """Centred one-hot labels of C classes have the product -1 / (C - 1)."""
    target = similarity_matrix(naive.one_hot([0, 0, 1, 3], 10))
    expected = torch.full((4, 4), -1 / 9, dtype=torch.float64)
    expected[0, 1] = expected[1, 0] = 1.0
    torch.testing.assert_close(target, expected.fill_diagonal_(1.0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", SHAPES.values())
def test_a_dead_sample_has_finite_gradients(shape: tuple[int, ...]) -> None:
    a = naive.normal(4, *shape)  # two live samples: one alone is like itself, with a gradient of rounding alone
    a[1] = 0.0
    a[2] = 1.0
    leaf = a.float().requires_grad_()
    matrix = similarity_matrix(leaf)
    (gradient,) = torch.autograd.grad((matrix - 0.3).square().sum(), leaf)
    assert torch.isfinite(matrix).all()
    assert torch.isfinite(gradient).all()
    assert float(gradient[0].abs().max()) > 0


@pytest.mark.parametrize(
    ("features", "space", "size", "expected"),
    [
        (16, (14, 14), 4096, (14, 14)),
        (16, (14, 14), 2000, (7, 14)),
        (16, (14, 14), 800, (7, 7)),
        (16, (14, 14), 512, (4, 7)),
        (16, (14, 14), 16, (1, 1)),
        (512, (2, 2), 100, (1, 1)),
        (64, (10,), 128, (2,)),
        (256, (), 100, ()),
    ],
)
def test_the_decoder_pools_until_it_is_small_enough(
    features: int, space: tuple[int, ...], size: int, expected: tuple[int, ...]
) -> None:
    """The kernel is doubled along the height, then along the width, and so on."""
    assert decoder_cells(features, space, size) == expected
    decoder = Decoder((features, *space), 3, size)
    assert decoder.linear.weight.shape == (3, features * math.prod(expected))
    assert torch.count_nonzero(decoder.linear.weight) == 0
    assert decoder(torch.randn(2, features, *space)).shape == (2, 3)


def test_the_decoder_averages() -> None:
    decoder = naive.lively(Decoder((2, 4, 4), 3, 8))
    a = naive.normal(3, 2, 4, 4)
    pooled = naive.cells(a, 2).reshape(3, -1)
    linear = decoder.get_submodule("linear")
    expected = naive.linear(pooled, linear.get_parameter("weight"), linear.get_parameter("bias"))
    torch.testing.assert_close(decoder(a), expected)


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="use pred or sim"):
        PredSim(predict=0.0)
    with pytest.raises(ConfigError, match="decoder_size must be at least 1"):
        Pred(decoder_size=0)
    with pytest.raises(ConfigError, match=r"label smoothing must lie in \[0, 1\)"):
        make_rule("sim", label_smoothing="1")
