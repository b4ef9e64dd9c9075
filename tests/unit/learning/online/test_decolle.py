"""DECOLLE beside the paper's equations in plain loops, and beside backpropagation through time where they are the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from support.plain_neurons import run
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.networks.spiking.cuba import CubaLIF
from edgebll.learning.networks.spiking.lif import IF, LIF
from edgebll.learning.networks.spiking.neuron import Neuron
from edgebll.learning.networks.spiking.over_time import OverTime
from edgebll.learning.networks.spiking.readout import LI, MeanOverTime

B, T, IN, OUT, CLASSES, LR = 3, 6, 5, 7, 4, 0.3
SHARED: dict[str, Any] = {"reset": "subtract", "surrogate": "arctan"}
Doubles = npt.NDArray[np.float64]


def network(neuron: Neuron, *behind: nn.Module) -> BlockNetwork:
    """Two blocks: a layer of these neurons, and the readout."""
    torch.manual_seed(3)
    first = nn.Sequential(OverTime(nn.Sequential(nn.Linear(IN, OUT), *behind)), neuron)
    last = nn.Sequential(OverTime(nn.Linear(OUT, CLASSES)), LI(tau=4e-3), MeanOverTime())
    return BlockNetwork([first, last], CLASSES, (T, IN), time_steps=T)


def first_step(made: BlockNetwork, chunk: int) -> BlockStep:
    return make_steps(made, make_rule("decolle", chunk=chunk), SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0), B)[0]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(B, T, IN, generator=generator) * 2, F.one_hot(torch.arange(B) % CLASSES, CLASSES).float()


def told(step: int) -> dict[str, Tensor]:
    return {"lr": torch.tensor(LR), "reset": torch.tensor(float(step == 0))}


def naive(weight: Doubles, bias: Doubles, g: Doubles, x: Doubles, y: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """The paper's P and Q, of a synapse and a membrane of 2 and 5 steps, and an update after each time step.

    Currents enter potentials as they are when they come, so that weights which change later do not change them.
    """
    syn, mem = 1 - 1 / 2, 1 - 1 / 5
    i, v = np.zeros((B, OUT)), np.zeros((B, OUT))
    p, q, one_p, one_q = np.zeros((B, IN)), np.zeros((B, IN)), 0.0, 0.0
    spikes = []
    for t in range(T):
        q, one_q = syn * q + (1 - syn) * x[:, t], syn * one_q + (1 - syn)
        p, one_p = mem * p + (1 - mem) * q, mem * one_p + (1 - mem) * one_q
        i = syn * i + (1 - syn) * (x[:, t] @ weight.T + bias)
        v = mem * v + (1 - mem) * i
        u = v - 0.1
        s = (u > 0).astype(float)
        v = v - 0.1 * s
        share = np.exp(s @ g.T)
        error = (share / share.sum(1, keepdims=True) - y) / B
        delta = (error @ g) / (1.0 + (math.pi * u) ** 2)
        weight = weight - LR * np.einsum("bi,bj->ij", delta, p)
        bias = bias - LR * delta.sum(0) * one_p
        spikes.append(s)
    return weight, bias, np.stack(spikes, 1)


def test_an_update_at_every_time_step_is_the_papers() -> None:
    step = first_step(network(CubaLIF(2e-3, 5e-3, v_threshold=0.1, **SHARED)), chunk=1)
    state, (x, y) = step.initial_state(), batch()
    names = ("net.0.layer.0.weight", "net.0.layer.0.bias")
    weight, bias = (state[name].double().numpy() for name in names)
    readout = step.constants["head.readouts.0"].double().numpy()
    expected = naive(weight, bias, readout, x.double().numpy(), y.double().numpy())
    given = []
    for t in range(T):
        state, a, _, _ = step(state, x[:, t : t + 1], y, told(t))
        given.append(a)
    assert torch.cat(given, 1).tolist() == expected[2].tolist()
    assert 0.05 < expected[2].mean() < 0.9, "neurons that never or always spike test nothing"
    for name, value, before in zip(names, expected[:2], (weight, bias), strict=True):
        assert np.abs(value - before).max() > 1e-3
        np.testing.assert_allclose(state[name].double().numpy(), value, rtol=1e-5, atol=1e-6)


NEURONS: dict[str, tuple[Neuron, dict[str, float]]] = {}
KINDS: tuple[tuple[str, Callable[..., Neuron], dict[str, float]], ...] = (
    ("lif", LIF, {"tau": 3e-3, "r": 1.5, "v_leak": 0.1, "v_threshold": 0.5}),
    ("if", IF, {"r": 0.5, "v_threshold": 1.0}),
    ("cuba_lif", CubaLIF, {"tau_syn": 2e-3, "tau_mem": 5e-3, "r": 2.0, "w_in": 1.3, "v_threshold": 0.4}),
)
for kind, made, values in KINDS:
    NEURONS[kind] = made(**values, **SHARED), {**values, "dt": 1e-3}


def through_time(kind: str, state: dict[str, Tensor], g: Tensor, x: Tensor, y: Tensor, norm: bool) -> dict[str, Tensor]:
    """Gradients of the mean loss by autograd through all time steps of neurons written out."""
    leaves = {name: value.clone().requires_grad_() for name, value in state.items() if name.startswith("net.0.layer.")}
    leaves = {name: value for name, value in leaves.items() if "running" not in name}
    weight, bias, *more = leaves.values()
    currents = x @ weight.t() + bias
    if norm:
        mean, spread = currents.mean((0, 1)), currents.var((0, 1), unbiased=False)
        currents = (currents - mean) / (spread + 1e-5).sqrt() * more[0] + more[1]
    spikes = run(kind, currents, NEURONS[kind][1], "subtract", "arctan")
    torch.stack([F.cross_entropy(spikes[:, t] @ g.t(), y) for t in range(T)]).mean().backward()
    return {name: value.grad for name, value in leaves.items() if value.grad is not None}


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("kind", NEURONS)
def test_of_a_layer_without_recurrence_it_is_backpropagation_through_time(kind: str, norm: bool) -> None:
    step = first_step(network(NEURONS[kind][0], *([nn.BatchNorm1d(OUT)] if norm else [])), chunk=0)
    state, (x, y) = step.initial_state(), batch()
    gradients = through_time(kind, state, step.constants["head.readouts.0"], x, y, norm)
    new, a, _, _ = step(state, x, y, told(0))
    assert 0.05 < float(a.mean()) < 0.9
    assert gradients.keys() == {*step.trained}
    for name, gradient in gradients.items():
        own = (state[name] - new[name]) / LR
        assert (norm and name.endswith("0.bias")) or gradient.abs().max() > 1e-3, "batch norm takes the bias away"
        torch.testing.assert_close(own, gradient, rtol=1e-4, atol=1e-6)


def test_chunks_of_any_length_give_one_gradient() -> None:
    """With weights that stay, updates of the chunks of a sample add up to that of the whole."""
    made, (x, y) = network(NEURONS["cuba_lif"][0]), batch()
    name, found = "net.0.layer.0.weight", []
    for chunk in (T, 3, 2, 1):
        step = first_step(made, chunk % T)
        state, total = step.initial_state(), torch.zeros(OUT, IN)
        for index in range(T // chunk):
            new, *_ = step(state, x[:, index * chunk : (index + 1) * chunk], y, told(index))
            total += (state[name] - new[name]) * (chunk / T)
            state = {**state, **{carried: value for carried, value in new.items() if "carried" in carried}}
        found.append(total)
    assert found[0].abs().max() > 1e-3
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-5, atol=1e-6)


def test_the_penalties_are_the_papers() -> None:
    """Their part of the loss and of its gradient, by autograd through potentials written out."""
    penalties = {"lambda1": 0.7, "lambda2": 0.4}
    made, (x, y) = network(NEURONS["lif"][0]), batch()
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    found = []
    for options in (penalties, {}):
        step = make_steps(made, make_rule("decolle", **options), optimizer, B)[0]
        state = step.initial_state()
        new, _, metrics, _ = step(state, x, y, told(0))
        found.append((metrics[0], (state["net.0.layer.0.weight"] - new["net.0.layer.0.weight"]) / LR))
    weight = state["net.0.layer.0.weight"].clone().requires_grad_()
    v, parts = torch.zeros(B, OUT), list[Tensor]()
    for t in range(T):
        v = v + (0.1 + 1.5 * (x[:, t] @ weight.t() + state["net.0.layer.0.bias"]) - v) / 3
        u = v - 0.5
        parts.append(0.7 * torch.relu(u + 0.01).mean(1) + 0.4 * torch.relu(0.1 - u.mean(1)))
        v = v - 0.5 * (u.detach() > 0).float()
    penalty = torch.stack(parts).mean()
    penalty.backward()
    torch.testing.assert_close(found[0][0] - found[1][0], penalty.detach(), rtol=1e-4, atol=1e-6)
    assert weight.grad is not None
    assert weight.grad.abs().max() > 1e-3
    torch.testing.assert_close(found[0][1] - found[1][1], weight.grad, rtol=1e-3, atol=1e-6)
