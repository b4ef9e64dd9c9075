"""BLL's further terms and heads, against loops and numpy; which options are refused, and in which words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from support import naive
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import TASKS
from edgebll.learning import BLL, SGD, BlockPlace, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.block_network import Unit
from edgebll.learning.rules.bll.objective import FEEDBACK
from edgebll.learning.rules.bll.variance import VARIANCE

CLASSES, CHANNELS, SIDE = 4, 3, 4
LABELS = [0, 1, 1, 3, 3, 3]
SHAPES = ((2, 8, 8), (CHANNELS, SIDE, SIDE), (CHANNELS, SIDE, SIDE), (CHANNELS, SIDE, SIDE), (CLASSES,))
Y = naive.one_hot(LABELS, CLASSES)


def objective(index: int = 1, **options: Any) -> Any:
    return BLL(**options).objective(BlockPlace(index, 4, SHAPES[index + 1], CLASSES, shapes=SHAPES))


def block_output() -> Tensor:
    return naive.normal(len(LABELS), CHANNELS, SIDE, SIDE)


def means(a: Tensor) -> list[list[Tensor]]:
    return [[channel.sum() / SIDE**2 for channel in sample] for sample in a]


@pytest.mark.parametrize("variance", ["fixed", "learned"])
def test_bayes_rule_on_gaussians(variance: str) -> None:
    """-log of the class's density over the sum of all densities."""
    made = objective(match=0.0, predict=0.8, head="bayes", sigma=0.6, variance=variance)
    weight, v = naive.normal(CHANNELS, CLASSES, seed=2), naive.normal(CHANNELS, seed=3).abs() + 0.3
    assert list(made.head().parameters()) == []
    assert (VARIANCE in made.feedback_state()) == (variance == "learned")

    def loss(a: Tensor, _: naive.Weights) -> Tensor:
        terms = []
        for row, label in zip(means(a), LABELS, strict=True):
            densities = []
            for c in range(CLASSES):
                density = torch.ones((), dtype=torch.float64)
                for j in range(CHANNELS):
                    wide = float(v[j]) + 1e-5 if variance == "learned" else 0.6**2
                    density = density * torch.exp(-((row[j] - weight[j, c]) ** 2) / (2 * wide)) / math.sqrt(2 * math.pi * wide)
                densities.append(density)
            terms.append(-torch.log(densities[label] / naive.total(densities)))
        return 0.8 * naive.total(terms) / len(LABELS)

    feedback = {FEEDBACK: weight} | ({VARIANCE: v} if variance == "learned" else {})
    naive.check(made, loss, block_output(), Y, feedback=feedback)


@pytest.mark.parametrize("index", [0, 1, 2])
def test_soft_labels_and_weights_by_depth(index: int) -> None:
    """Blocks 1, 2, 3 of 4: 0.6, 0.4, 0.2 of a label spread with soften 0.6; predict 2 (k / 3)^2; smoothed besides."""
    made = objective(index, match=0.0, predict=2.0, predict_growth=2.0, soften=0.6, head_size=1, label_smoothing=0.1)
    soft, weight = 0.6 * (1 - index / 3), 2.0 * ((index + 1) / 3) ** 2

    def loss(a: Tensor, head: naive.Weights) -> Tensor:
        logits = naive.linear(naive.cells(a, 1).reshape(len(LABELS), -1), head["weight"], head["bias"])
        spread = 1 - (1 - soft) * (1 - 0.1)
        return weight * naive.cross_entropy(logits, LABELS, spread)

    naive.check(made, loss, block_output(), Y)


def test_entropy_spread_and_correlations_of_features() -> None:
    made = objective(match=0.0, predict=1.0, entropy=0.3, spread=0.5, decorrelate_channels=0.7)
    a = block_output() * 0.3
    pooled = a.numpy().mean((2, 3))
    terms = made.loss(made.head().double(), {}, a, Y)[1]
    variances = pooled.var(0)
    correlations = np.corrcoef(pooled.T)
    assert float(terms["loss_entropy"]) == pytest.approx(0.3 * -0.5 * np.log(variances + 1e-5).sum(), rel=1e-9)
    assert float(terms["loss_spread"]) == pytest.approx(0.5 * np.maximum(0, 1 - np.sqrt(variances + 1e-4)).mean(), rel=1e-9)
    shrink = np.sqrt(variances / (variances + 1e-5))
    correlations *= np.outer(shrink, shrink)
    apart = (correlations**2).sum() - (np.diag(correlations) ** 2).sum()
    assert float(terms["loss_channels"]) == pytest.approx(0.7 * apart / CHANNELS, rel=1e-9)


@pytest.mark.parametrize("weights", [None, [1.0, 1.0, 0.0, 1.0, 1.0, 0.0]])
def test_the_input_is_rebuilt_on_common_cells(weights: list[float] | None) -> None:
    """Block 1 of 4 takes 2 x 8 x 8 and gives 3 x 4 x 4: 2 x 2 pixels a cell, a third off with depth."""
    x, counts = naive.normal(len(LABELS), 2, 8, 8, seed=5), weights or [1.0] * len(LABELS)
    options = {"match": 0.0, "predict": 1.0, "head_size": 1, "reconstruct": 3.0, "reconstruct_decay": 1.0}
    made = objective(0, **options).given({}, x)
    made = made if weights is None else made.weighted(torch.tensor(weights, dtype=torch.float64))
    some = [n for n, count in enumerate(counts) if count]
    cells = {
        (n, c, i, j): float(sum(x[n, c, 2 * i + k, 2 * j + m] for k in (0, 1) for m in (0, 1))) / 4
        for n in range(len(LABELS))
        for c in range(2)
        for i in range(SIDE)
        for j in range(SIDE)
    }
    middle = {c: float(np.mean([v for at, v in cells.items() if at[0] in some and at[1] == c])) for c in range(2)}
    wide = {c: float(np.var([v for at, v in cells.items() if at[0] in some and at[1] == c])) for c in range(2)}

    def loss(a: Tensor, head: naive.Weights) -> Tensor:
        logits = naive.linear(naive.cells(a, 1).reshape(len(LABELS), -1), head["predictor.weight"], head["predictor.bias"])
        terms = []
        for (n, c, i, j), value in cells.items():
            rebuilt = (head["decoder.map.weight"][c, :, 0, 0] * a[n, :, i, j]).sum() * math.sqrt(2 / 3)
            wanted = (value - middle[c]) / math.sqrt(wide[c] + 1e-5)
            terms.append(counts[n] * (rebuilt + head["decoder.map.bias"][c] - wanted) ** 2)
        predicted = naive.cross_entropy(torch.stack([logits[n] for n in some]), [LABELS[n] for n in some])
        return predicted + 3.0 * naive.total(terms) / (2 * SIDE**2 * len(some))

    naive.check(made, loss, block_output(), Y)
    assert objective(2, **options).head().decoder.map.weight.shape == (CHANNELS, CHANNELS, 1, 1)


@pytest.mark.parametrize("options", [{}, {"reconstruct": 1.0}, {"head": "bayes"}, {"head": "bayes", "reconstruct": 1.0}])
def test_what_a_block_says_of_the_task_is_its_predictors(options: dict[str, Any]) -> None:
    """Those of Bayes' rule, with sigma 1: half the squared distances from the targets, but for what is the same for all."""
    made = objective(head_size=1, **options)
    head, a, weight = naive.lively(made.head()), block_output(), naive.normal(CHANNELS, CLASSES, seed=2)
    found = made.scores(head, {FEEDBACK: weight}, a)
    if "head" in options:
        wanted = -0.5 * torch.cdist(a.mean((2, 3)), weight.t()) ** 2
        torch.testing.assert_close(found - found[:, :1], wanted - wanted[:, :1])
        return
    own: Any = getattr(head, "predictor", head)
    torch.testing.assert_close(found, naive.linear(naive.cells(a, 1).reshape(len(LABELS), -1), own.weight, own.bias))


def test_reconstruction_falls_with_depth_and_pools_what_has_other_axes() -> None:
    """Weight 1, 2/3, 1/3 of block 1, 2, 3 of 4 with decay 1; features without space have the mean over space to rebuild."""
    x, losses = naive.normal(4, CHANNELS, SIDE, SIDE), {}
    for decay in (0.0, 1.0):
        place = BlockPlace(2, 4, (CHANNELS,), CLASSES, shapes=(*SHAPES[:3], (CHANNELS,), (CLASSES,)))
        made = BLL(match=0.0, reconstruct=1.0, reconstruct_decay=decay).objective(place).given({}, x)
        head = naive.lively(made.head())
        a = naive.normal(4, CHANNELS)
        losses[decay] = made.loss(head, {}, a, Y[:4])[1]["loss_rec"].item()
        pooled = x.numpy().mean((2, 3))
        wanted = (pooled - pooled.mean(0)) / np.sqrt(pooled.var(0) + 1e-5)
        rebuilt = a.numpy() @ head.decoder.map.weight.detach().numpy().T + head.decoder.map.bias.detach().numpy()
        assert losses[decay] == pytest.approx(((rebuilt - wanted) ** 2).mean() * (1.0 if not decay else 1 / 3), rel=1e-9)


def test_the_auglocal_head_is_units_like_later_ones() -> None:
    """One unit, which is a convolution and tanh, the mean over space, batch norm and a linear layer, as AugLocal's depth 1."""

    def rebuild(shape: tuple[int, ...], _stride: int) -> nn.Module:
        return nn.Sequential(nn.Conv2d(shape[0], 2, 1, bias=False), nn.Tanh())

    first = nn.Sequential(nn.Conv2d(1, CHANNELS, 3, 2, 1))
    last = nn.Sequential(rebuild((CHANNELS, 4, 4), 1), nn.Flatten(), nn.Linear(2 * SIDE**2, CLASSES))
    units = [[Unit(first, 1)], [Unit(last[0], 1, rebuild)]]
    network = BlockNetwork([first, last], CLASSES, (1, 8, 8), units=units)
    made = BLL(match=0.0, predict=0.5, head="auglocal", aux_depth=1).objective(BlockPlace.of(network, 0))

    def loss(a: Tensor, head: naive.Weights) -> Tensor:
        hidden = torch.tanh(naive.convolution(a, head["0.0.weight"]))
        pooled = naive.cells(hidden, 1).reshape(len(LABELS), 2, 1, 1)
        normed = naive.batch_norm(pooled, head["3.weight"], head["3.bias"]).reshape(len(LABELS), 2)
        return 0.5 * naive.cross_entropy(naive.linear(normed, head["4.weight"], head["4.bias"]), LABELS)

    naive.check(made, loss, block_output(), Y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"target": "mean"},
            "target must be one of class_mean, global_mean, zero, shuffled, random_codes, simplex, not 'mean'",
        ),
        ({"match_on": "scaled"}, "match_on must be one of raw, centred, standardised, not 'scaled'"),
        ({"soften": 1.0}, r"soften must lie in \[0, 1\), but is 1.0"),
        ({"entropy": -1.0}, "entropy must not be negative"),
        ({"code_scale": 0.0}, "code_scale must be above 0"),
        ({"aux_depth": 0}, "aux_depth must be at least 1, but is 0"),
        ({"feedback_momentum": 1.5}, r"feedback_momentum must lie in \[0, 1\], but is 1.5"),
        ({"match_schedule": "decaying", "match": 0.0}, "match_schedule=decaying needs match above 0, but that is 0"),
        ({"target": "zero", "predict": 0.0}, "needs predict above 0 with target=zero, for no label"),
        ({"head": "bayes", "target": "global_mean"}, "head=bayes tells classes apart by their targets"),
        ({"feedback": "chain", "target": "simplex"}, "feedback=chain learns its targets, so target=simplex does not go"),
        ({"match_on": "centred", "target": "global_mean"}, "makes the global mean zero; use target=zero"),
    ],
)
def test_options_that_do_not_go_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^BLL.*{words}"):
        BLL(**options)


@pytest.mark.parametrize(
    ("task", "options", "words"),
    [
        ("regression", {"target": "shuffled"}, "target=shuffled speaks of classes, which regression has not; use class_mean"),
        ("regression", {"head": "bayes"}, "head=bayes tells classes apart, which regression has not; use head=linear"),
        ("regression", {"soften": 0.1}, "soften shares a label among classes, which regression has not; leave it at 0"),
        (
            "segmentation",
            {"head": "auglocal"},
            "head=auglocal pools whole maps, which does not serve segmentation; use head=linear",
        ),
        (
            "segmentation",
            {"reconstruct": 1.0},
            "reconstruct takes a block's map whole, which does not serve segmentation; leave",
        ),
        (
            "segmentation",
            {"feedback": "chain"},
            "chained feedback keeps a target for each class alone, unlike segmentation; use",
        ),
    ],
)
def test_tasks_that_they_do_not_serve_are_refused(task: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=f"^bll's {words}"):
        BLL(**options).check_task(TASKS[task]())


@pytest.mark.parametrize(("option", "words"), [({"head": "auglocal"}, "head=auglocal"), ({"reconstruct": 1.0}, "reconstruct")])
def test_positions_are_refused(option: dict[str, Any], words: str) -> None:
    network = make_network(
        "transformer", num_blocks=2, num_classes=10, input_shape=(10, 10), seed=0, options={"depth": 2, "dim": 8}
    )
    with pytest.raises(ConfigError, match=rf"^bll's {words}.*each of 10 positions is a sample with a label; (use|leave)"):
        make_steps(network, BLL(**option), SGD(), 4)
