"""BLL with spikes for latent variables, beside distributions that are summed over outcome by outcome."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning import BLL, SGD, BlockPlace, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.rules.bll.latent import FAMILIES, smoothed_rate

LATENTS = ("bernoulli", "poisson")
#: Outcomes of a latent variable that are summed over; of Poisson's so many that the rest is nothing.
OUTCOMES = {"bernoulli": 2, "poisson": 40}
PAIRS = [(0.1, 0.3), (0.3, 0.1), (0.02, 0.04), (0.9, 0.2), (0.5, 0.5)]


def log_probabilities(latent: str, rate: float) -> list[float]:
    if latent == "bernoulli":
        return [math.log(1 - rate), math.log(rate)]
    return [z * math.log(rate) - rate - math.lgamma(z + 1) for z in range(OUTCOMES[latent])]


def plainly(latent: str, a: float, b: float) -> tuple[float, float]:
    """Mean of rho ~ sqrt(alpha beta), and KL(rho || alpha): sums over all outcomes."""
    alpha, beta = (log_probabilities(latent, rate) for rate in (a, b))
    weights = [math.exp((one + other) / 2) for one, other in zip(alpha, beta, strict=True)]
    rho = [weight / sum(weights) for weight in weights]
    divergence = sum(p * (math.log(p) - q) for p, q in zip(rho, alpha, strict=True))
    return sum(z * p for z, p in enumerate(rho)), divergence


@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize(("a", "b"), PAIRS)
def test_posterior_and_divergence_are_those_of_the_distributions(latent: str, a: float, b: float) -> None:
    posterior, divergence = FAMILIES[latent]
    mean, distance = plainly(latent, a, b)
    alpha, beta = (torch.tensor(rate, dtype=torch.float64) for rate in (a, b))
    rho = posterior(alpha, beta)
    assert rho.item() == pytest.approx(mean, rel=1e-9)
    assert divergence(alpha, rho).item() == pytest.approx(distance, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("latent", LATENTS)
def test_near_the_target_it_is_the_gaussian_form_with_the_family_s_variance(latent: str) -> None:
    posterior, divergence = FAMILIES[latent]
    a, b = torch.tensor(0.2, dtype=torch.float64), torch.tensor(0.201, dtype=torch.float64)
    variance = 0.2 * 0.8 if latent == "bernoulli" else 0.2
    assert divergence(a, posterior(a, b)).item() == pytest.approx(0.001**2 / (8 * variance), rel=1e-2)


@pytest.mark.parametrize("latent", LATENTS)
def test_the_nearest_feedback_has_the_mean_rate(latent: str) -> None:
    """sum_n KL(alpha_n || b) is least where b is the mean of the rates: looked for on a grid."""
    rates, grid = [0.1, 0.15, 0.5], [value / 1000 for value in range(20, 980)]

    def total(b: float) -> float:
        found = 0.0
        for rate in rates:
            alpha, beta = log_probabilities(latent, rate), log_probabilities(latent, b)
            found += sum(math.exp(p) * (p - q) for p, q in zip(alpha, beta, strict=True))
        return found

    assert min(grid, key=total) == pytest.approx(sum(rates) / 3, abs=1e-3)


@pytest.mark.parametrize("latent", LATENTS)
def test_rates_of_silence_stay_finite(latent: str) -> None:
    counted = torch.tensor([0.0, 0.5, 1.0])
    expected = [(k + 0.5) / (9 if latent == "bernoulli" else 8) for k in (0, 4, 8)]
    assert smoothed_rate(counted, 8, latent).tolist() == pytest.approx(expected)


@pytest.mark.parametrize("feedback", ["lstsq", "ema"])
@pytest.mark.parametrize("latent", LATENTS)
@pytest.mark.parametrize(("name", "shape"), [("spiking-mlp", (6, 9)), ("spiking-conv", (4, 2, 6, 6))])
def test_a_step_is_the_loss_of_plain_loops(name: str, shape: tuple[int, ...], latent: str, feedback: str) -> None:
    """Loss, feedback and the gradient's direction of one step, with sums over neurons and samples that are written out."""
    options = {"width": 4, "depth": 2}
    network = make_network(name, num_blocks=2, num_classes=3, input_shape=shape, seed=1, options=options)
    rule = BLL(latent=latent, feedback=feedback, predict=0.0, match=0.7)
    step = make_steps(network, rule, SGD(), batch_size=6)[0]
    torch.manual_seed(0)
    x, y = torch.randn(6, *shape) * 2, F.one_hot(torch.arange(6) % 3, 3).float()
    new, a, metrics, _ = step(step.initial_state(), x, y, {"lr": torch.tensor(0.1)})
    rates = a.mean(1).flatten(2).mean(2) if a.dim() > 3 else a.mean(1)
    count = shape[0] * (36 if name == "spiking-conv" else 1)
    expected, means = _loss(rates, count, latent)
    assert torch.allclose(new["feedback.weight"], means, atol=1e-6)
    assert metrics[0].item() == pytest.approx(0.7 * expected, rel=1e-4)
    assert (new["net.0.0.layer.0.weight"] != step.initial_state()["net.0.0.layer.0.weight"]).any()


def _loss(rates: Tensor, count: int, latent: str) -> tuple[float, Tensor]:
    """Mean over six samples of the sums over neurons, and the mean rates (neurons, 3) of the classes."""
    means = torch.stack([(rates[c] + rates[c + 3]) / 2 for c in range(3)], 1)
    whole, total = count + (1 if latent == "bernoulli" else 0), 0.0
    for n in range(6):
        for j in range(rates.shape[1]):
            pair = (rates[n, j].item() * count + 0.5) / whole, (means[j, n % 3].item() * count + 0.5) / whole
            total += plainly(latent, *pair)[1] / 6
    return total, means


def test_the_gradient_pulls_towards_a_far_target() -> None:
    """Where the whole divergence's gradient would push away: the posterior is held fixed."""
    posterior, divergence = FAMILIES["bernoulli"]
    a, b = torch.tensor(1e-3, requires_grad=True), torch.tensor(0.999)
    (through,) = torch.autograd.grad(divergence(a, posterior(a, b)), a)
    (fixed,) = torch.autograd.grad(divergence(a, posterior(a, b).detach()), a)
    assert through > 0 > fixed


@pytest.mark.parametrize("latent", LATENTS)
def test_the_gradient_is_that_of_a_fixed_posterior(latent: str) -> None:
    """By the rate: (a - rho) / variance of the family, of the rate as it is counted from N steps."""
    place = BlockPlace(0, 2, (3,), 2, rate_over=8)
    objective = BLL(latent=latent, feedback="lstsq", predict=0.0, match=0.5).objective(place)
    a = torch.tensor([[0.0, 0.25, 0.5], [0.5, 0.125, 1.0]], dtype=torch.float64, requires_grad=True)
    y = torch.tensor([[1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)
    feedback = objective.renew_feedback({"feedback.weight": torch.zeros(3, 2, dtype=torch.float64)}, a.detach(), y)
    loss, _ = objective.loss(lambda _: None, feedback, a, y)
    (found,) = torch.autograd.grad(loss, a)
    whole = 9 if latent == "bernoulli" else 8
    for n in range(2):
        for j in range(3):
            rate, mean = ((value * 8 + 0.5) / whole for value in (a[n, j].item(), a[:, j].mean().item()))
            rho, variance = plainly(latent, rate, mean)[0], rate * (1 - rate) if latent == "bernoulli" else rate
            assert found[n, j].item() == pytest.approx(0.5 / 2 * (rate - rho) / variance * 8 / whole, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"latent": "binomial"}, "latent must be one of gaussian, bernoulli, poisson"),
        ({"latent": "bernoulli", "pool": "max"}, "latent=bernoulli does not go with pool=max, .* use pool=avg or none"),
        ({"latent": "poisson", "feedback": "chain"}, "does not go with feedback=chain, .* use feedback=lstsq or ema"),
        ({"latent": "poisson", "target": "zero"}, "use target=class_mean or global_mean or shuffled"),
        ({"latent": "bernoulli", "variance": "learned"}, "use variance=fixed"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        BLL(**options)  # type: ignore[arg-type]


def test_blocks_without_spikes_are_refused() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=3, input_shape=(4,), seed=1)
    for rule in (BLL(latent="bernoulli"), BLL(trace=3.0)):
        with pytest.raises(ConfigError, match=r"block0 gives no spikes over time; use a spiking network"):
            make_steps(network, rule, SGD(), batch_size=6)
