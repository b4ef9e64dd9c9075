"""What BLL's features are matched to, on which scale and how strongly: against loops over samples, classes and features."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from support import naive
from support.networks import small_network
from torch import Tensor

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.tasks import Classification
from edgebll.learning import BLL, SGD, BlockPlace, make_steps
from edgebll.learning.rules.bll.objective import FEEDBACK, BLLObjective
from edgebll.learning.rules.bll.variance import VARIANCE

CLASSES, FEATURES = 4, 5
#: Class 0 has one sample, class 2 none; one sample has no label.
LABELS: list[int | None] = [0, 1, None, 3, 3, 3, 1]
SOME = [n for n, label in enumerate(LABELS) if label is not None]
SCALES = ["raw", "centred", "standardised"]


def objective(**options: Any) -> BLLObjective:
    place = BlockPlace(1, 4, (FEATURES,), CLASSES, task=Classification(ignore_index=9))
    made = BLL(**options).objective(place)
    assert isinstance(made, BLLObjective)
    return made


def one_hot() -> Tensor:
    y = torch.zeros(len(LABELS), CLASSES, dtype=torch.float64)
    for n in SOME:
        y[n, LABELS[n]] = 1.0
    return y


def naive_scale(rows: list[list[float]], scale: str) -> list[list[float]]:
    """Of the samples that count."""
    found = [list(row) for row in rows]
    for j in range(FEATURES):
        mean = sum(rows[n][j] for n in SOME) / len(SOME)
        variance = sum((rows[n][j] - mean) ** 2 for n in SOME) / len(SOME)
        for row in found:
            row[j] -= 0.0 if scale == "raw" else mean
            row[j] /= math.sqrt(variance + 1e-5) if scale == "standardised" else 1.0
    return found


def naive_column(label: int, target: str, seed: int) -> int:
    if target in ("global_mean", "zero"):
        return 0
    return (label + 1 + seed % (CLASSES - 1)) % CLASSES if target == "shuffled" else label


def naive_weights(rule: BLL, rows: list[list[float]], old: np.ndarray) -> np.ndarray:
    new = old.copy()
    if rule.target in ("zero", "random_codes", "simplex"):
        return new
    for c in range(old.shape[1]):
        members = SOME if rule.target == "global_mean" else [n for n in SOME if LABELS[n] == c]
        for j in range(FEATURES if members else 0):
            mean = sum(rows[n][j] for n in members) / len(members)
            new[j, c] = mean if rule.feedback == "lstsq" else 0.9 * old[j, c] + (1 - 0.9) * mean
    return new


TARGETS = ["class_mean", "global_mean", "zero", "shuffled", "random_codes", "simplex"]


@pytest.mark.parametrize("feedback", ["ema", "lstsq"])
@pytest.mark.parametrize("variance", ["fixed", "learned"])
@pytest.mark.parametrize(
    ("target", "scale"), [pair for pair in itertools.product(TARGETS, SCALES) if pair[0] != "global_mean" or pair[1] == "raw"]
)
def test_targets_variance_and_loss(target: str, scale: str, variance: str, feedback: str) -> None:
    """A step's renewed W and v, its beta, and the match with its gradient."""
    options = {"target": target, "match_on": scale, "variance": variance, "feedback": feedback, "target_seed": 1}
    made = objective(match=3.0, sigma=0.5, predict=1.0, head_size=1, **options)
    a, y = naive.normal(len(LABELS), FEATURES), one_hot()
    rows = naive_scale(a.tolist(), scale)
    state = {name: value.double() for name, value in made.feedback_state().items()}
    state[FEEDBACK] = state[FEEDBACK] + (0.1 if target not in ("zero", "random_codes", "simplex") else 0.0)
    new = made.renew_feedback(state, a, y)
    weights = naive_weights(made.rule, rows, state[FEEDBACK].numpy())
    np.testing.assert_allclose(new[FEEDBACK].numpy(), weights, rtol=1e-10)
    beta = {n: [weights[j, naive_column(LABELS[n] or 0, target, 1)] for j in range(FEATURES)] for n in SOME}
    np.testing.assert_allclose(made.beta(new, y)[SOME].numpy(), [beta[n] for n in SOME], rtol=1e-10)
    spread = [0.5**2] * FEATURES
    if variance == "learned":
        left = [sum((rows[n][j] - beta[n][j]) ** 2 for n in SOME) / len(SOME) for j in range(FEATURES)]
        spread = left if feedback == "lstsq" else [0.9 * 0.5**2 + 0.1 * v for v in left]
        np.testing.assert_allclose(new[VARIANCE].numpy(), spread, rtol=1e-10)
        spread = [v + 1e-5 for v in spread]
    match = sum((rows[n][j] - beta[n][j]) ** 2 / (8 * spread[j]) for n in SOME for j in range(FEATURES)) / len(SOME)
    terms = made.loss(lambda _: torch.zeros(len(LABELS), CLASSES, dtype=torch.float64), new, a, y)[1]
    assert float(terms["loss_match"]) == pytest.approx(3.0 * match, rel=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_the_gradient_goes_through_the_scale(scale: str) -> None:
    made = objective(match_on=scale, predict=0.0)
    weight, y = naive.normal(FEATURES, CLASSES, seed=2), one_hot()

    def loss(a: Tensor, _: naive.Weights) -> Tensor:
        features = []
        for j in range(FEATURES):
            column = torch.stack([a[n, j] for n in SOME])
            mean = column.sum() / len(SOME)
            variance = ((column - mean) ** 2).sum() / len(SOME)
            shifted = column if scale == "raw" else column - mean
            features.append(shifted / torch.sqrt(variance + 1e-5) if scale == "standardised" else shifted)
        return naive.total(
            [(features[j][i] - weight[j, LABELS[n]]) ** 2 for i, n in enumerate(SOME) for j in range(FEATURES)]
        ) / (8 * len(SOME))

    naive.check(made, loss, naive.normal(len(LABELS), FEATURES), y, feedback={FEEDBACK: weight})


@pytest.mark.parametrize("scale", SCALES)
def test_the_order_of_samples_does_not_matter(scale: str) -> None:
    made, order = objective(match_on=scale, variance="learned", feedback="lstsq"), [3, 6, 0, 2, 5, 1, 4]
    a, y = naive.normal(len(LABELS), FEATURES), one_hot()
    state = {name: value.double() for name, value in made.feedback_state().items()}
    torch.testing.assert_close(
        made.renew_feedback(state, a[order], y[order]), made.renew_feedback(state, a, y), rtol=1e-10, atol=0
    )
    torch.testing.assert_close(made.matched(a[order], y[order]), made.matched(a, y)[order], rtol=1e-10, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_targets_leave_no_class_its_own(seed: int) -> None:
    made = objective(target="shuffled", target_seed=seed)
    beta = made.beta({FEEDBACK: torch.eye(CLASSES)}, torch.eye(CLASSES))
    assert torch.equal(beta.sum(0), torch.ones(CLASSES)), "each class's mean is some class's target"
    assert torch.equal(beta.diagonal(), torch.zeros(CLASSES)), "and none its own"


@pytest.mark.parametrize("target", ["random_codes", "simplex"])
def test_codes_have_their_size_and_differ_by_seed_and_block(target: str) -> None:
    def codes(index: int, seed: int, classes: int = CLASSES) -> np.ndarray:
        made = BLL(target=target, code_scale=0.5, target_seed=seed).objective(BlockPlace(index, 4, (FEATURES,), classes))
        return made.feedback_state()[FEEDBACK].double().numpy().T

    first = codes(0, 0)
    np.testing.assert_allclose(np.sqrt((first**2).mean(1)), 0.5, rtol=1e-6)
    assert np.array_equal(first, codes(0, 0))
    assert not np.allclose(first, codes(1, 0), atol=0.05)
    assert not np.allclose(first, codes(0, 1), atol=0.05)
    if target == "simplex":
        cosines = codes(0, 0, 6) @ codes(0, 0, 6).T / (0.25 * FEATURES)
        np.testing.assert_allclose(cosines, np.eye(6) * 1.2 - 0.2, atol=1e-6)


def test_too_few_features_for_equal_angles_are_refused() -> None:
    with pytest.raises(ConfigError, match="target=simplex needs at least 6 features for 7 classes, but block1 has 5; widen"):
        BLL(target="simplex").objective(BlockPlace(1, 4, (FEATURES,), 7)).feedback_state()


#: Learning rates of six steps, and how far each is: by four steps, and by how far the rate has fallen from its peak.
RATES = (0.0, 0.05, 0.1, 0.08, 0.04, 0.0)
PROGRESS = {4: (0.25, 0.5, 0.75, 1.0, 1.0, 1.0), 0: (1.0, 0.0, 0.0, 0.2, 0.6, 1.0)}


@pytest.mark.parametrize("steps", PROGRESS)
@pytest.mark.parametrize("kind", ["decaying", "growing"])
@pytest.mark.parametrize("feedback", ["ema", "chain"])
def test_the_match_follows_the_steps_or_the_learning_rate(feedback: str, kind: str, steps: int) -> None:
    """Of real steps, whose weights are not moved; each goes on from the state that the one before gave."""
    x, y = torch.rand(8, 3, 16, 16), torch.eye(7)[torch.arange(8) % 7]
    options: dict[str, Any] = {"feedback": feedback, "match_schedule": kind, "match_steps": steps}
    network = small_network("mlp", num_blocks=2)
    changing, plain = (make_steps(network, BLL(**own), SGD(), 8)[0] for own in (options, {"feedback": feedback}))
    state, still = changing.initial_state(), plain.initial_state()
    for rate, progress in zip(RATES, PROGRESS[steps], strict=True):
        found, other = (step(own, x, y, {"lr": torch.tensor(rate)}) for step, own in ((changing, state), (plain, still)))
        place = changing.spec.metrics.index("loss_match")
        factor = 2 * (1 - progress) if kind == "decaying" else 2 * progress
        assert float(found.metrics[place]) == pytest.approx(factor * float(other.metrics[place]), rel=1e-5, abs=1e-6)
        assert float(other.metrics[place]) > 0
        moved = {name: value for name, value in found.state.items() if name.startswith("feedback.")}
        state, still = state | moved, still | {n: v for n, v in other.state.items() if n.startswith("feedback.")}


def test_a_learnt_variance_and_the_entropy_are_the_information_of_gaussian_features() -> None:
    """The gradient of the two terms is that of -m/4 sum_j 1/2 log(total variance / variance inside the classes)."""
    made = objective(variance="learned", feedback="lstsq", match=2.0, entropy=0.5, predict=0.0)
    a, y = naive.normal(len(LABELS), FEATURES, seed=3).requires_grad_(), one_hot()
    state = {name: value.double() for name, value in made.feedback_state().items()}
    terms = made.loss(lambda _: _, made.renew_feedback(state, a.detach(), y), a, y)[1]
    (actual,) = torch.autograd.grad(terms["loss_match"] + terms["loss_entropy"], a)
    whole, inside = [], []
    for j in range(FEATURES):
        column = {n: a[n, j] for n in SOME}
        mean = sum(column.values()) / len(SOME)
        whole.append(sum((v - mean) ** 2 for v in column.values()) / len(SOME) + 1e-5)
        left: Any = 0.0
        for c in range(CLASSES):
            members = [column[n] for n in SOME if LABELS[n] == c]
            left = left + sum((v - sum(members) / len(members)) ** 2 for v in members)
        inside.append(left / len(SOME) + 1e-5)
    information = naive.total([0.5 * torch.log(t / s) for t, s in zip(whole, inside, strict=True)])
    (expected,) = torch.autograd.grad(-0.5 * information, a)
    torch.testing.assert_close(actual, expected, rtol=1e-8, atol=1e-10)


def test_the_match_of_a_learnt_variance_is_a_divergence_of_gaussians() -> None:
    """KL(rho || alpha), integrated, but for the constant of rho's smaller variance, log 2 / 2 - 1/4 a feature."""
    made = objective(variance="learned", match=1.0, predict=0.0)
    a, y = naive.normal(len(LABELS), FEATURES), one_hot()
    state = {FEEDBACK: naive.normal(FEATURES, CLASSES, seed=2), VARIANCE: naive.normal(FEATURES, seed=4).abs() + 0.2}
    z, total = np.linspace(-14, 14, 56001), 0.0
    for n, j in itertools.product(SOME, range(FEATURES)):
        v, alpha, beta = float(state[VARIANCE][j]) + 1e-5, float(a[n, j]), float(state[FEEDBACK][j, LABELS[n]])
        log_alpha, log_beta = (-((z - mean) ** 2) / (2 * v) - math.log(2 * math.pi * v) / 2 for mean in (alpha, beta))
        rho = np.exp(log_alpha + log_beta)
        rho /= np.trapezoid(rho, z)
        total += float(np.trapezoid(rho * (np.log(rho + 1e-300) - log_alpha), z)) - (math.log(2) / 2 - 0.25)
    assert float(made.loss(lambda _: _, state, a, y)[0]) == pytest.approx(total / len(SOME), rel=1e-5)
