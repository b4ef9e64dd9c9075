"""Losses: value and gradient on ONNX Runtime against float64 autograd."""

from typing import Any

import pytest
import torch
from support.graphs import assert_lowered_equals_eager
from support.lowering_cases import Case, check_case
from torch.nn import functional as F

LABELS, STEPS, LENGTHS = torch.tensor([[1, 1, 3], [3, 1, 0]]), torch.tensor([7, 6]), torch.tensor([3, 2])

REGRESSIONS = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
REDUCTIONS = ("mean", "sum", "none")
#: Its stub knows no lengths as tuples.
ctc_loss: Any = F.ctc_loss
CLASSES = torch.tensor([0, 3, 1])
PIXELS = torch.tensor([[[0, 1], [2, 3], [1, 1]], [[3, 3], [0, 2], [1, 0]]])


def regression(name: str, reduction: str) -> Case:
    return lambda x, y: getattr(F, name)(x, y, reduction=reduction).reshape(-1), [(3, 4), (3, 4)]


def classification(**options: Any) -> Case:
    return lambda x, y: F.cross_entropy(x, y, **options).reshape(-1), [(3, 4), CLASSES]


CASES: dict[str, Case] = {
    "ctc": (lambda x: ctc_loss(x.log_softmax(2), LABELS, (7, 6), (3, 2)), [(7, 2, 4)]),
    "ctc_sum_of_free_scores": (lambda x: F.ctc_loss(x, LABELS, STEPS, LENGTHS, reduction="sum"), [(7, 2, 4)]),
    "ctc_of_one": (lambda x: F.ctc_loss(x.log_softmax(1), LABELS[0], STEPS[0], LENGTHS[0], blank=2), [(7, 4)]),
    "ctc_impossible": (lambda x: ctc_loss(x, LABELS, (3, 7), (3, 2), reduction="none", zero_infinity=True), [(7, 2, 4)]),
    "cross_entropy_probabilities": (
        lambda x, y: F.cross_entropy(x, y.softmax(1), label_smoothing=0.1).reshape(1),
        [(4, 3), (4, 3)],
    ),
    **{f"{name} {how}": regression(name, how) for name in REGRESSIONS for how in REDUCTIONS},
    "smooth_l1_with_beta": (lambda x, y: F.smooth_l1_loss(x, y, beta=0.3).reshape(1), [(3, 4), (3, 4)]),
    "huber_with_delta": (lambda x, y: F.huber_loss(x, y, delta=0.3).reshape(1), [(3, 4), (3, 4)]),
    "binary": (lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid()).reshape(1), [(3, 4), (3, 4)]),
    "binary_weighted": (
        lambda x, y: F.binary_cross_entropy(x.sigmoid(), y.sigmoid().detach(), torch.arange(1, 5).to(x.dtype)).reshape(1),
        [(3, 4), (3, 4)],
    ),
    "binary_logits": (lambda x, y: F.binary_cross_entropy_with_logits(x, y.sigmoid()).reshape(1), [(3, 4), (3, 4)]),
    "binary_logits_weighted": (
        lambda x, y: F.binary_cross_entropy_with_logits(
            x, y.sigmoid(), torch.arange(1, 5).to(x.dtype), pos_weight=torch.arange(2, 6).to(x.dtype)
        ).reshape(1),
        [(3, 4), (3, 4)],
    ),
    **{f"cross_entropy {how}": classification(reduction=how) for how in REDUCTIONS},
    "cross_entropy_ignoring": classification(ignore_index=3),
    "cross_entropy_smoothed": classification(label_smoothing=0.1),
    "cross_entropy_weighted": (
        lambda x, y: F.cross_entropy(x, y, weight=torch.arange(1, 5).to(x.dtype), label_smoothing=0.1).reshape(1),
        [(3, 4), CLASSES],
    ),
    "cross_entropy_of_known_classes": (lambda x: F.cross_entropy(x, CLASSES).reshape(1), [(3, 4)]),
    "cross_entropy_of_one_hot": (lambda x, y: F.cross_entropy(x, y.argmax(1)).reshape(1), [(3, 4), (3, 4)]),
    "cross_entropy_of_pixels": (lambda x, y: F.cross_entropy(x, y).reshape(1), [(2, 4, 3, 2), PIXELS]),
    "cross_entropy_of_each_pixel": (lambda x, y: F.cross_entropy(x, y, reduction="none"), [(2, 4, 3, 2), PIXELS]),
    "cross_entropy_without_batch": (lambda x, y: F.cross_entropy(x, y).reshape(1), [(4,), torch.tensor(2)]),
    "nll": (lambda x, y: F.nll_loss(x, y).reshape(1), [(3, 4), CLASSES]),
    "kl": (
        lambda x, y: F.kl_div(x.log_softmax(1), y.softmax(1), reduction="batchmean").reshape(1),
        [(3, 4), (3, 4)],
    ),
    "kl_of_logarithms": (
        lambda x, y: F.kl_div(x.log_softmax(1), y.log_softmax(1), log_target=True, reduction="sum").reshape(1),
        [(3, 4), (3, 4)],
    ),
    "cosine_similarity": (lambda x, y: F.cosine_similarity(x, y, 1), [(3, 4), (3, 4)]),
    "cosine_embedding": (
        lambda x, y: F.cosine_embedding_loss(x, y, torch.tensor([1, -1, 1])).reshape(1),
        [(3, 4), (3, 4)],
    ),
    "triplet": (lambda x, y, z: F.triplet_margin_loss(x, y, z).reshape(1), [(3, 4), (3, 4), (3, 4)]),
    "margin_ranking": (
        lambda x, y: F.margin_ranking_loss(x, y, torch.ones(3, 4, dtype=x.dtype), 0.1).reshape(1),
        [(3, 4), (3, 4)],
    ),
    "soft_margin": (lambda x: F.soft_margin_loss(x, torch.ones(3, 4, dtype=x.dtype)).reshape(1), [(3, 4)]),
    "poisson": (lambda x, y: F.poisson_nll_loss(x, y.abs()).reshape(1), [(3, 4), (3, 4)]),
}


@pytest.mark.parametrize("name", list(CASES))
def test_value_and_gradient(name: str) -> None:
    check_case(name, CASES[name])


MASKED = torch.tensor([[-1.0, -torch.inf, 0.3, 2.0], [0.5, 1.0, -torch.inf, 0.0], [-torch.inf, 0.1, 0.2, -0.3]])


@pytest.mark.parametrize("classes", [4, 12_000], ids=["chosen", "picked"])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("weighted", [False, True])
def test_infinite_logits_and_ignored_targets(classes: int, reduction: str, weighted: bool) -> None:
    """Masked classes count only where they are the target; without any target the mean is NaN and its gradient 0."""
    x = torch.cat([MASKED, torch.full((3, classes - 4), -torch.inf)], 1)
    weight = torch.linspace(0.5, 1.5, classes) if weighted else None

    def step(x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        def loss(x: torch.Tensor) -> torch.Tensor:
            return F.cross_entropy(x, y, weight=weight, reduction=reduction)

        return loss(x), torch.func.grad(lambda x: loss(x).sum())(x)

    for targets in ([0, 3, 1], [0, -100, 1], [-100] * 3):
        assert_lowered_equals_eager(step, [x, torch.tensor(targets)], 1e-5)
    (value, _) = step(x, torch.tensor([1, 0, 1]))
    assert value.isinf().any()
    assert_lowered_equals_eager(lambda x, y: step(x, y)[:1], [x, torch.tensor([1, 0, 1])], 1e-5)
