"""What local losses see of blocks that give spikes over time: their rates."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from edgebll.learning import BLL, SGD, Greedy, make_steps
from edgebll.learning.networks import make_network
from edgebll.learning.rule import Rule
from edgebll.learning.step import BlockStep

SHAPES = {"spiking-mlp": (6, 9), "spiking-conv": (4, 2, 6, 6)}
LR = {"lr": torch.tensor(0.1)}


def first_step(name: str, rule: Rule) -> tuple[BlockStep, dict[str, Tensor], Tensor, Tensor]:
    """Of the first of two blocks: its step, where it starts, and a batch."""
    network = make_network(
        name, num_blocks=2, num_classes=3, input_shape=SHAPES[name], seed=1, options={"width": 8, "depth": 2}
    )
    step = make_steps(network, rule, SGD(), batch_size=6)[0]
    torch.manual_seed(0)
    x, y = torch.randn(6, *SHAPES[name]) * 2, F.one_hot(torch.arange(6) % 3, 3).float()
    return step, step.initial_state(), x, y


@pytest.mark.parametrize("name", SHAPES)
def test_a_classifier_sees_the_mean_over_time(name: str) -> None:
    step, state, x, y = first_step(name, Greedy(head_size=2))
    _, a, metrics, _ = step(state, x, y, LR)
    rates = torch.stack([a[:, t] for t in range(SHAPES[name][0])]).sum(0) / SHAPES[name][0]
    pooled = F.adaptive_avg_pool2d(rates, 2) if rates.dim() == 4 else rates
    scores = pooled.reshape(6, -1) @ state["head.weight"].t() + state["head.bias"]
    assert a.shape == (6, *step.spec.output.shape[1:])
    assert torch.allclose(metrics[0], F.cross_entropy(scores, y), atol=1e-6)


@pytest.mark.parametrize("name", SHAPES)
def test_feedback_follows_the_mean_rates_of_a_class(name: str) -> None:
    step, state, x, y = first_step(name, BLL(feedback="lstsq", predict=0.0, match=2.0, ridge=0.0))
    new, a, metrics, _ = step(state, x, y, LR)
    rates = a.mean(1).flatten(2).mean(2) if a.dim() > 3 else a.mean(1)
    means = torch.stack([(rates[c] + rates[c + 3]) / 2 for c in range(3)], 1)
    assert torch.allclose(new["feedback.weight"], means, atol=1e-6)
    left = torch.stack([rates[n] - means[:, n % 3] for n in range(6)])
    assert torch.allclose(metrics[0], 2.0 / 8.0 * left.square().sum(1).mean(), atol=1e-6)
    assert (new["net.0.0.layer.0.weight"] != state["net.0.0.layer.0.weight"]).any()


def test_a_trace_counts_late_spikes_more() -> None:
    """As a filter that runs over the spikes, e = e exp(-1 / tau) + s, over what it gives where every step has a spike."""
    step, state, x, y = first_step("spiking-mlp", BLL(trace=2.0, feedback="lstsq", predict=0.0))
    new, a, _, _ = step(state, x, y, LR)
    trace, full = torch.zeros(6, 8), 0.0
    for t in range(6):
        trace, full = trace * math.exp(-0.5) + a[:, t], full * math.exp(-0.5) + 1.0
    means = torch.stack([(trace[c] + trace[c + 3]) / 2 for c in range(3)], 1) / full
    assert torch.allclose(new["feedback.weight"], means, atol=1e-6)
    assert not torch.allclose(means[:, 0], a.mean(1)[[0, 3]].mean(0), atol=1e-3)


def test_a_decoder_rebuilds_the_rates_of_a_later_block_s_input() -> None:
    network = make_network(
        "spiking-mlp", num_blocks=3, num_classes=3, input_shape=(6, 9), seed=1, options={"width": 8, "depth": 3}
    )
    steps = make_steps(network, BLL(reconstruct=1.0), SGD(), batch_size=6)
    y = F.one_hot(torch.arange(6) % 3, 3).float()
    x = torch.randn(6, 6, 9) * 2
    for step in steps[:2]:
        _, x, metrics, _ = step(step.initial_state(), x, y, LR)
        assert torch.isfinite(metrics).all()
        assert "loss_rec" in step.spec.metrics
