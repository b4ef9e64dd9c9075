"""e-prop beside the paper's equations in plain loops, and beside backpropagation through time where they are the same."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from support.plain_neurons import run
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.networks.spiking.cuba import CubaLIF
from edgebll.learning.networks.spiking.lif import LIF
from edgebll.learning.networks.spiking.neuron import Neuron
from edgebll.learning.networks.spiking.over_time import OverTime, Recurrent
from edgebll.learning.networks.spiking.readout import LI, MeanOverTime

B, T, IN, OUT, CLASSES, LR = 3, 6, 5, 7, 4, 0.3
SHARED: dict[str, Any] = {"reset": "subtract", "surrogate": "arctan"}
ALIF_VALUES = {"tau": 4e-3, "tau_adapt": 8e-3, "beta": 0.6, "r": 1.5, "v_threshold": 0.3}


def network(neurons: nn.Module) -> BlockNetwork:
    """Two blocks: a layer of these neurons, and the network's readout."""
    torch.manual_seed(3)
    first = nn.Sequential(OverTime(nn.Linear(IN, OUT)), neurons)
    last = nn.Sequential(OverTime(nn.Linear(OUT, CLASSES)), LI(tau=4e-3), MeanOverTime())
    return BlockNetwork([first, last], CLASSES, (T, IN), time_steps=T)


def first_step(neurons: nn.Module, **options: Any) -> BlockStep:
    optimizer = SGD(lr=LR, momentum=0.0, nesterov=False, weight_decay=0.0)
    return make_steps(network(neurons), make_rule("eprop", **options), optimizer, B)[0]


def batch() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.randn(B, T, IN, generator=generator) * 2, F.one_hot(torch.arange(B) % CLASSES, CLASSES).float()


def told(step: int) -> dict[str, Tensor]:
    return {"lr": torch.tensor(LR), "reset": torch.tensor(float(step == 0))}


class Loop:
    """The paper's equations 21 to 25 and 28, weight by weight: ALIF with recurrent connections, an update each time step.

    Beside them its loss of firing rates, c_reg / 2 sum_j (f_j - 0.2)^2, f_j the mean of z_j over samples and steps so far.
    """

    def __init__(self, weights: dict[str, Any], feedback: Any, kappa: float, c_reg: float) -> None:
        self.c_reg, self.fired, self.steps = c_reg, np.zeros(OUT), 0
        self.w_in, self.b, self.w_rec, self.w_out, self.b_out = weights.values()
        self.feedback, self.kappa = feedback, kappa
        self.v, self.a, self.z, self.filtered = (np.zeros((B, OUT)) for _ in range(4))
        self.trace = np.zeros((B, IN + 1 + OUT))
        self.adapted, self.seen = np.zeros((B, OUT, IN + 1 + OUT)), np.zeros((B, OUT, IN + 1 + OUT))

    def step(self, x: Any, y: Any) -> Any:
        part, rho = 1 / 4, 1 - 1 / 8
        self.trace = (1 - part) * self.trace + part * 1.5 * np.concatenate([x, np.ones((B, 1)), self.z], 1)
        current = x @ self.w_in.T + self.b + self.z @ self.w_rec.T
        self.v = (1 - part) * self.v + part * 1.5 * current
        u = self.v - (0.3 + 0.6 * self.a)
        psi, self.z = 1 / (1 + (math.pi * u) ** 2), (u > 0).astype(float)
        self.v = self.v - self.z * (0.3 + 0.6 * self.a)
        self.a = rho * self.a + self.z
        self.fired, self.steps = self.fired + self.z.mean(0), self.steps + 1
        by_rate, off = np.zeros_like(self.seen[0]), self.c_reg * (self.fired / self.steps - 0.2)
        for n in range(B):
            for j in range(OUT):
                for i in range(IN + 1 + OUT):
                    e = psi[n, j] * (self.trace[n, i] - 0.6 * self.adapted[n, j, i])
                    self.adapted[n, j, i] = psi[n, j] * self.trace[n, i] + (rho - psi[n, j] * 0.6) * self.adapted[n, j, i]
                    self.seen[n, j, i] = self.kappa * self.seen[n, j, i] + e
                    by_rate[j, i] += off[j] * e / B
        self.filtered = self.kappa * self.filtered + self.z
        share = np.exp(self.filtered @ self.w_out.T + self.b_out)
        error = (share / share.sum(1, keepdims=True) - y) / B
        change = LR * np.einsum("nj,nji->ji", error @ self.feedback, self.seen) + LR * by_rate
        self.w_in, self.b = self.w_in - change[:, :IN], self.b - change[:, IN]
        self.w_rec = self.w_rec - change[:, IN + 1 :]
        self.w_out, self.b_out = self.w_out - LR * error.T @ self.filtered, self.b_out - LR * error.sum(0)
        return self.z


NAMES = ("net.0.layer.weight", "net.0.layer.bias", "net.1.linear.weight", "head.weights.0", "head.biases.0")


@pytest.mark.parametrize("c_reg", [0.0, 1.5])
def test_traces_and_updates_are_those_of_the_paper(c_reg: float) -> None:
    neurons = Recurrent(KINDS["alif"][0](**ALIF_VALUES, **SHARED), nn.Linear(OUT, OUT, bias=False))
    step = first_step(neurons, chunk=1, kappa=0.7, feedback="random", c_reg=c_reg, f_target=0.2)
    state, (x, y) = step.initial_state(), batch()
    start = {name: state[name].double().numpy() for name in NAMES}
    loop = Loop(start, step.constants["head.feedback.0"].double().numpy(), 0.7, c_reg)
    spikes = []
    for t in range(T):
        state, a, _, _ = step(state, x[:, t : t + 1], y, told(t))
        spikes.append(loop.step(x[:, t].double().numpy(), y.double().numpy()))
        assert a[:, 0].tolist() == spikes[-1].tolist()
    assert 0.05 < np.mean(spikes) < 0.9
    expected = dict(zip(NAMES, (loop.w_in, loop.b, loop.w_rec, loop.w_out, loop.b_out), strict=True))
    expected |= {"net.carried0_seen": loop.seen, "net.carried0_filtered": loop.filtered, "net.carried0_b": loop.a}
    for name, value in expected.items():
        assert name not in start or np.abs(value - start[name]).max() > 1e-3
        np.testing.assert_allclose(state[name].double().numpy(), value, rtol=1e-4, atol=1e-6, err_msg=name)


KINDS: dict[str, tuple[Callable[..., Neuron], dict[str, float]]] = {
    "lif": (LIF, {"tau": 3e-3, "r": 1.5, "v_leak": 0.1, "v_threshold": 0.5}),
    "alif": (ALIF, ALIF_VALUES),
    "cuba_lif": (CubaLIF, {"tau_syn": 2e-3, "tau_mem": 5e-3, "r": 2.0, "w_in": 1.3, "v_threshold": 0.4}),
}


def through_time(kind: str, state: dict[str, Tensor], kappa: float, c_reg: float, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """Gradients of the mean loss, and of that of rates, by autograd through neurons written out and a readout that leaks."""
    leaves = {name: state[name].clone().requires_grad_() for name in NAMES if name in state}
    weight, bias, w_out, b_out = leaves.values()
    spikes = run(kind, x @ weight.t() + bias, {**KINDS[kind][1], "dt": 1e-3}, "subtract", "arctan")
    y_t, losses = torch.zeros(B, CLASSES), []
    for t in range(T):
        y_t = kappa * y_t + spikes[:, t] @ w_out.t()
        losses.append(F.cross_entropy(y_t + b_out, y))
    (torch.stack(losses).mean() + c_reg / 2 * (spikes.mean((0, 1)) - 0.2).square().sum()).backward()
    return {name: value.grad for name, value in leaves.items() if value.grad is not None}


@pytest.mark.parametrize(("kappa", "c_reg"), [(0.0, 0.0), (0.6, 0.0), (0.0, 2.0), (0.6, 2.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_of_a_layer_without_recurrence_it_is_backpropagation_through_time(kind: str, kappa: float, c_reg: float) -> None:
    made, values = KINDS[kind]
    step = first_step(made(**values, **SHARED), kappa=kappa, c_reg=c_reg, f_target=0.2)
    state, (x, y) = step.initial_state(), batch()
    gradients = through_time(kind, state, kappa, c_reg, x, y)
    new, a, _, _ = step(state, x, y, told(0))
    assert 0.05 < float(a.mean()) < 0.9
    assert gradients.keys() == {*step.trained}
    for name, gradient in gradients.items():
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close((state[name] - new[name]) / LR, gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kappa": 1.0}, r"kappa must lie in \[0, 1\), but is 1.0"),
        ({"feedback": "chain"}, "feedback must be symmetric or random, not 'chain'"),
        ({"c_reg": -1.0}, "eprop's c_reg must"),
        ({"f_target": 1.5}, r"f_target must lie in \[0, 1\] spikes a time step, but is 1.5"),
        ({"kappa": 0.5}, "behind one linear layer, not behind a BatchNorm1d; use --network-option norm=none"),
    ],
)
def test_what_it_cannot_do_it_refuses(options: dict[str, Any], sentence: str) -> None:
    made = make_network(
        "spiking-mlp", num_blocks=2, num_classes=3, input_shape=(6, 4), seed=0, options={"width": 4, "depth": 2}
    )
    with pytest.raises(ConfigError, match=sentence):
        make_steps(made, make_rule("eprop", **options), SGD(), B)
