"""BLL's terms against a naive implementation, written sample by sample from the formulas."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from support import naive

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BLL, BlockPlace, make_rule
from edgebll.learning.rules.bll.objective import FEEDBACK, BLLObjective

BATCH, CHANNELS, SIDE, CLASSES = 6, 5, 4, 4
LABELS = [0, 1, 1, 3, 3, 3]  # class 0 has one sample, class 2 none


@pytest.fixture
def a() -> torch.Tensor:
    return torch.randn(BATCH, CHANNELS, SIDE, SIDE, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def y() -> torch.Tensor:
    return torch.eye(CLASSES, dtype=torch.float64)[LABELS]


def no_head(_: torch.Tensor) -> torch.Tensor:
    raise AssertionError("the head is not asked")


def objective(**options: Any) -> BLLObjective:
    made = BLL(**options).objective(BlockPlace(0, 2, (CHANNELS, SIDE, SIDE), CLASSES))
    assert isinstance(made, BLLObjective)
    return made


def naive_pool(a: np.ndarray, pool: str, normalize: str) -> np.ndarray:
    rows = []
    for sample in a:
        if pool == "none":
            row = [float(v) for v in sample.reshape(-1)]
        else:
            row = []
            for channel in sample:
                values = [float(v) for v in channel.reshape(-1)]
                mean = sum(values) / len(values)
                deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values) + 1e-8)
                row.append({"avg": mean, "max": max(values), "std": deviation}[pool])
        if normalize != "none":
            mean = sum(row) / len(row)
            row = [v - mean for v in row]
            square = sum(v * v for v in row)
            scale = math.sqrt(square + 1e-8) if normalize == "center_l2" else math.sqrt(square / len(row) + 1e-5)
            row = [v / scale for v in row]
        rows.append(row)
    return np.array(rows)


def naive_feedback(rule: BLL, pooled: np.ndarray, old: np.ndarray) -> np.ndarray:
    new = old.copy()
    for c in range(CLASSES):
        members = [pooled[n] for n in range(BATCH) if LABELS[n] == c]
        if not members:
            continue
        total = np.sum(members, axis=0)
        mean = total / len(members)
        if rule.feedback == "lstsq":
            new[:, c] = total / (len(members) + rule.ridge)
        elif rule.feedback == "ema":
            new[:, c] = rule.feedback_momentum * old[:, c] + (1 - rule.feedback_momentum) * mean
        else:
            new[:, c] = old[:, c] - rule.feedback_lr * ((old[:, c] - mean) + rule.feedback_decay * old[:, c])
    return new


def torch_pool(sample: torch.Tensor, pool: str, normalize: str) -> torch.Tensor:
    """The same of one sample, with gradients."""
    row = [value for channel in sample for value in channel.reshape(-1)]
    if pool != "none":
        row = []
        for channel in sample:
            values = channel.reshape(-1)
            mean = values.sum() / len(values)
            deviation = torch.sqrt(((values - mean) ** 2).sum() / len(values) + 1e-8)
            row.append({"avg": mean, "max": values[values.argmax()], "std": deviation}[pool])
    result = torch.stack(row)
    if normalize == "none":
        return result
    result = result - result.sum() / len(result)
    square = (result**2).sum()
    return result / torch.sqrt(square + 1e-8 if normalize == "center_l2" else square / len(result) + 1e-5)


@pytest.mark.parametrize("pool", ["avg", "max", "std", "none"])
@pytest.mark.parametrize("normalize", ["none", "center_l2", "layer_norm"])
@pytest.mark.parametrize("labels", [LABELS, [2, 2], [0]])
def test_loss_and_gradients_of_all_terms(labels: list[int], pool: str, normalize: str) -> None:
    """Absent classes, classes of one sample, one class alone, and a batch of one."""
    made = objective(pool=pool, normalize=normalize, match=3.0, sigma=0.7, predict=0.5, head_size=2, decorrelate=0.4)
    a = naive.normal(len(labels), CHANNELS, SIDE, SIDE)
    features = CHANNELS * SIDE**2 if pool == "none" else CHANNELS
    weight = naive.normal(features, CLASSES, seed=2)

    def loss(a: torch.Tensor, head: naive.Weights) -> torch.Tensor:
        rows = [torch_pool(sample, pool, normalize) for sample in a]
        match = naive.total([((r - weight[:, c]) ** 2).sum() for r, c in zip(rows, labels, strict=True)]) / len(labels)
        cosines = []
        for n, one in enumerate(rows):
            norm = torch.sqrt((one**2).sum() + 1e-8)
            others = [other for m, other in enumerate(rows) if m != n]
            cosines += [((one * other).sum() / norm / torch.sqrt((other**2).sum() + 1e-8)) ** 2 for other in others]
        logits = naive.linear(naive.cells(a, 2).reshape(len(labels), -1), head["weight"], head["bias"])
        repelled = naive.total(cosines) / len(labels) ** 2
        return 3.0 / (8 * 0.7**2) * match + 0.5 * naive.cross_entropy(logits, labels) + 0.4 * repelled

    naive.check(made, loss, a, naive.one_hot(labels, CLASSES), feedback={FEEDBACK: weight})


@pytest.mark.parametrize("pool", ["avg", "max", "std", "none"])
@pytest.mark.parametrize("normalize", ["none", "center_l2", "layer_norm"])
def test_pooled_output(pool: str, normalize: str, a: torch.Tensor) -> None:
    actual = objective(pool=pool, normalize=normalize).pooled(a)
    assert np.allclose(actual.numpy(), naive_pool(a.numpy(), pool, normalize), rtol=1e-10)


@pytest.mark.parametrize(
    "options", [{"feedback": "lstsq"}, {"feedback": "lstsq", "ridge": 2.0}, {"feedback": "ema"}, {"feedback": "sgd"}]
)
def test_feedback_weights_with_absent_and_single_classes(options: dict, a: torch.Tensor, y: torch.Tensor) -> None:
    rule = BLL(**options)
    old = torch.randn(CHANNELS, CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    new = objective(**options).renew_feedback({FEEDBACK: old}, a, y)[FEEDBACK]
    assert np.allclose(new.numpy(), naive_feedback(rule, naive_pool(a.numpy(), "avg", "none"), old.numpy()), rtol=1e-10)
    assert torch.equal(new[:, 2], old[:, 2]), "the column of the absent class must stay as it is"


def test_least_squares_feedback_minimises_the_distance(a: torch.Tensor, y: torch.Tensor) -> None:
    made = objective(feedback="lstsq")
    weights = made.renew_feedback({FEEDBACK: torch.zeros(CHANNELS, CLASSES, dtype=torch.float64)}, a, y)[FEEDBACK]
    solution = torch.linalg.lstsq(y[:, [0, 1, 3]], made.pooled(a)).solution
    assert torch.allclose(weights[:, [0, 1, 3]].t(), solution, rtol=1e-9)


def test_match_term_is_the_kl_divergence_of_gaussians(a: torch.Tensor, y: torch.Tensor) -> None:
    """KL(rho || alpha) with equal variances, integrated numerically, equals the closed form of weight 1."""
    sigma = 0.7
    made = objective(match=1.0, sigma=sigma, predict=0.0)
    feedback = {FEEDBACK: torch.randn(CHANNELS, CLASSES, dtype=torch.float64)}
    total, terms = made.loss(no_head, feedback, a, y)
    pooled, beta = made.pooled(a).numpy(), (feedback[FEEDBACK].numpy()[:, LABELS]).T
    z = np.linspace(-12, 12, 48001)
    divergence = 0.0
    for alpha, target in zip(pooled.reshape(-1), beta.reshape(-1), strict=True):
        rho = np.exp(-((z - (alpha + target) / 2) ** 2) / (2 * sigma**2)) / (sigma * math.sqrt(2 * math.pi))
        ratio = ((z - alpha) ** 2 - (z - (alpha + target) / 2) ** 2) / (2 * sigma**2)
        divergence += float(np.trapezoid(rho * ratio, z))
    assert float(total) == pytest.approx(divergence / BATCH, rel=1e-6)
    assert terms.keys() == {"loss_match"}


@pytest.mark.parametrize("feedback", ["ema", "chain"])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_match_grows_with_depth(index: int, feedback: str) -> None:
    """Block k = 1, 2, 3 of 4 with match 3 and growth 2: 3 (k / 3)^2 = 1/3, 4/3, 3; without growth 3 everywhere."""
    shape = (CHANNELS, SIDE, SIDE)
    place = BlockPlace(index, 4, shape, CLASSES, shapes=(shape,) * 5)
    a, y = naive.normal(BATCH, CHANNELS, SIDE, SIDE), naive.one_hot(LABELS, CLASSES)
    terms = []
    for growth in (2.0, 0.0):
        made = BLL(match=3.0, match_growth=growth, feedback=feedback).objective(place)
        state = {name: torch.ones_like(value, dtype=torch.float64) for name, value in made.feedback_state().items()}
        logits = torch.zeros(BATCH, CLASSES, dtype=torch.float64)
        terms.append(made.loss(lambda _, logits=logits: logits, state, a, y)[1]["loss_match"].item())
    assert terms[0] == pytest.approx(terms[1] * ((index + 1) / 3) ** 2, rel=1e-12)
    assert terms[1] > 0


def test_gradient_of_the_match_term_attracts(a: torch.Tensor, y: torch.Tensor) -> None:
    """d L / d a = match / (4 s^2 B) (a_n - beta_n) / (H W), with beta fixed."""
    made = objective(match=3.0, sigma=2.0, predict=0.0)
    feedback = {FEEDBACK: torch.randn(CHANNELS, CLASSES, dtype=torch.float64)}
    leaf = a.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(made.loss(no_head, feedback, leaf, y)[0], leaf)
    distance = a.mean((2, 3)) - y @ feedback[FEEDBACK].t()
    expected = 3.0 / (4 * 2.0**2) / BATCH / SIDE**2 * distance[:, :, None, None].expand_as(a)
    assert torch.allclose(gradient, expected, rtol=1e-9)


def test_predictive_term_with_label_smoothing(a: torch.Tensor, y: torch.Tensor) -> None:
    made = objective(match=0.0, predict=0.5, head_size=2, label_smoothing=0.1)
    head = made.head().double()
    weight, bias = head.weight.detach().numpy(), head.bias.detach().numpy()
    cells = a.numpy().reshape(BATCH, CHANNELS, 2, 2, 2, 2).mean((3, 5)).reshape(BATCH, -1)
    total = 0.0
    for n in range(BATCH):
        logits = weight @ cells[n] + bias
        log_p = logits - math.log(sum(math.exp(v) for v in logits))
        target = np.full(CLASSES, 0.1 / CLASSES)
        target[LABELS[n]] += 0.9
        total -= float(target @ log_p) / BATCH
    assert made.loss(head, {}, a, y)[0].item() == pytest.approx(0.5 * total, rel=1e-9)


@pytest.mark.parametrize("pairs", ["all", "different"])
def test_decorrelation_term(pairs: str, a: torch.Tensor, y: torch.Tensor) -> None:
    made = objective(match=0.0, predict=1.0, decorrelate=0.7, decorrelate_pairs=pairs)
    pooled = naive_pool(a.numpy(), "avg", "none")
    total = 0.0
    for n in range(BATCH):
        for m in range(BATCH):
            if n != m and (pairs == "all" or LABELS[n] != LABELS[m]):
                norms = np.linalg.norm(pooled[n]) * np.linalg.norm(pooled[m])
                total += float(pooled[n] @ pooled[m] / norms) ** 2 / BATCH**2
    assert made.loss(made.head().double(), {}, a, y)[1]["loss_corr"].item() == pytest.approx(0.7 * total, rel=1e-6)


def test_the_last_block_has_the_task_loss_alone() -> None:
    last = BLL().objective(BlockPlace(1, 2, (CLASSES,), CLASSES))
    assert last.metrics == ()
    assert list(last.head().parameters()) == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool": "median"}, "pool must be one of"),
        ({"match": -1.0}, "match must not be negative"),
        ({"match_growth": -1.0}, "match_growth must not be negative"),
        ({"match": 0.0, "predict": 0.0}, "the label never reaches"),
        ({"sigma": 0.0}, "sigma"),
    ],
)
def test_wrong_options_are_refused(options: dict, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BLL(**options)


def test_rules_by_name_take_text_options() -> None:
    assert make_rule("bll", match="2.5", pool="max", head_size="1") == BLL(match=2.5, pool="max", head_size=1)
    with pytest.raises(ConfigError, match="unknown rule"):
        make_rule("magic")
    with pytest.raises(ConfigError, match="no option 'speed'"):
        make_rule("bll", speed=1)
    with pytest.raises(ConfigError, match="must be a float"):
        make_rule("bll", match="much")
