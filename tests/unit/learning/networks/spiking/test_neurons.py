"""Neurons beside loops that are written out: what comes out of them, and the gradients of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.plain_neurons import SMOOTH, run
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks.spiking.adaptive import ALIF
from edgebll.learning.networks.spiking.cuba import CubaLI, CubaLIF
from edgebll.learning.networks.spiking.lif import IF, LIF
from edgebll.learning.networks.spiking.neuron import Neuron, SpikingNeuron, unrolled
from edgebll.learning.networks.spiking.over_time import Recurrent
from edgebll.learning.networks.spiking.readout import LI
from edgebll.learning.networks.spiking.surrogates import Surrogate, spike

#: Kind -> class, values that are no defaults.
SPIKING: dict[str, tuple[type[SpikingNeuron], dict[str, float]]] = {
    "if": (IF, {"r": 0.9, "v_threshold": 0.8, "v_reset": -0.2}),
    "lif": (LIF, {"tau": 3e-3, "r": 1.3, "v_leak": 0.1, "v_threshold": 0.7, "v_reset": -0.1}),
    "cuba_lif": (
        CubaLIF,
        {"tau_syn": 2e-3, "tau_mem": 3e-3, "r": 1.5, "v_leak": 0.1, "v_threshold": 0.5, "v_reset": 0.05, "w_in": 1.2},
    ),
    "alif": (ALIF, {"tau": 3e-3, "tau_adapt": 9e-3, "beta": 0.3, "r": 1.4, "v_leak": 0.1, "v_threshold": 0.5, "v_reset": 0.0}),
}
LEAKY: dict[str, tuple[type[Neuron], dict[str, float]]] = {
    "li": (LI, {"tau": 3e-3, "r": 1.3, "v_leak": 0.1}),
    "cuba_li": (CubaLI, {"tau_syn": 2e-3, "tau_mem": 3e-3, "r": 1.5, "v_leak": 0.1, "w_in": 1.2}),
}
T = 14


def currents(seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    return (0.6 + torch.randn(3, T, 5)).requires_grad_()


def agree(made: nn.Module, kind: str, given: dict[str, float], dt: float = 1e-3, **how: Any) -> Tensor:
    """What a module gives and its gradient are those of the loop; returns what it gives."""
    x, plain = currents(), currents()
    found = made(x)
    expected = run(kind, plain, {**given, "dt": dt}, how.pop("reset", "value"), how.pop("surrogate", "fast_sigmoid"), **how)
    weights = torch.randn(3, T, 5)
    (found * weights).sum().backward()
    (expected * weights).sum().backward()
    assert torch.allclose(found, expected, rtol=0, atol=1e-6)
    assert x.grad is not None
    assert plain.grad is not None
    assert x.grad.abs().max() > 0
    assert torch.allclose(x.grad, plain.grad, rtol=1e-4, atol=1e-6)
    return found.detach()


@pytest.mark.parametrize("reset", ["value", "subtract"])
@pytest.mark.parametrize("refractory", [0, 2])
@pytest.mark.parametrize("kind", SPIKING)
def test_spiking_neurons_are_the_loop(kind: str, refractory: int, reset: str) -> None:
    cls, given = SPIKING[kind]
    made = cls(**given, reset=reset, refractory=refractory)  # type: ignore[arg-type]
    spikes = agree(made, kind, given, reset=reset, refractory=refractory)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    assert 0.02 < spikes.mean() < 0.9


@pytest.mark.parametrize("surrogate", SMOOTH)
def test_surrogates_are_derivatives_of_known_functions(surrogate: str) -> None:
    cls, given = SPIKING["lif"]
    agree(cls(**given, surrogate=surrogate), "lif", given, surrogate=surrogate)  # type: ignore[arg-type]
    u = torch.linspace(-2, 2, 41, requires_grad=True)
    SMOOTH[surrogate](u).sum().backward()
    assert torch.allclose(Surrogate(surrogate).derivative(u.detach()), u.grad, atol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", LEAKY)
def test_leaky_integrators_are_the_loop(kind: str) -> None:
    cls, given = LEAKY[kind]
    agree(cls(**given), kind, given)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", SPIKING)
def test_all_steps_at_once_are_one_after_another(kind: str) -> None:
    cls, given = SPIKING[kind]
    made, x, again = cls(**given), currents(), currents()  # type: ignore[arg-type]
    weights = torch.randn(3, T, 5)
    whole, stepped = made(x), unrolled(made, again)
    assert torch.equal(whole, stepped)
    for spikes, of in ((whole, x), (stepped, again)):
        (spikes * weights).sum().backward()
        assert of.grad is not None
    assert torch.equal(x.grad, again.grad)  # type: ignore[arg-type]


def test_another_step_of_time_is_another_discretisation() -> None:
    cls, given = SPIKING["lif"]
    fine = agree(cls(**given, dt=5e-4), "lif", given, dt=5e-4)  # type: ignore[arg-type]
    assert not torch.equal(fine, cls(**given)(currents().detach()))  # type: ignore[arg-type]


@pytest.mark.parametrize("neuron", [LIF(tau=5e-3, v_threshold=0.4), LI(tau=5e-3)])
def test_potentials_are_float32_whatever_layers_compute_in(neuron: Neuron) -> None:
    x = currents().detach().bfloat16()
    assert torch.equal(neuron(x), neuron(x.float()))


def test_a_step_at_the_threshold_is_no_spike() -> None:
    """NIR says v > v_threshold."""
    assert spike(torch.tensor([-1e-7, 0.0, 1e-7]), Surrogate()).tolist() == [0.0, 0.0, 1.0]
    assert IF(v_threshold=0.5)(torch.full((1, 1, 1), 0.5)).item() == 0.0


def test_neurons_hear_the_spikes_of_the_step_before() -> None:
    torch.manual_seed(0)
    linear = nn.Linear(5, 5)
    x = currents().detach()
    found = Recurrent(LIF(), linear)(x)
    v, s, expected = torch.zeros(3, 5), torch.zeros(3, 5), []
    for t in range(T):
        current = x[:, t] + s @ linear.weight.t() + linear.bias
        v = v + 0.5 * (current - v)
        s = (v > 1).float()
        v = torch.where(v > 1, 0.0, v)
        expected.append(s)
    assert torch.equal(found, torch.stack(expected, 1))
    assert not torch.equal(found, LIF()(x))


def test_values_are_numbers_buffers_or_parameters() -> None:
    neuron = LIF(tau=4e-3, r=torch.full((5,), 2.0), v_threshold=0.5, trainable=("tau", "v_threshold"))
    assert {name: tuple(value.shape) for name, value in neuron.named_parameters()} == {"log_tau": (), "v_threshold": ()}
    assert [name for name, _ in neuron.named_buffers()] == ["r"]
    assert torch.allclose(neuron.value("tau"), torch.tensor(4e-3))
    assert neuron.value("r").tolist() == [2.0] * 5
    assert neuron.value("v_leak").tolist() == 0.0
    fixed = LIF(tau=4e-3, r=2.0, v_threshold=0.5)
    x = currents().detach()
    assert torch.equal(neuron(x), fixed(x))
    neuron(x).sum().backward()
    assert all(value.grad is not None and value.grad != 0 for value in neuron.parameters())


def test_a_learnt_time_constant_has_the_gradient_of_the_loop() -> None:
    """By finite differences of the leaky integrator, which is smooth in it."""
    x = currents().detach().double()
    neuron = LI(tau=3e-3, trainable=("tau",)).double()
    (found,) = torch.autograd.grad(neuron(x).square().sum(), list(neuron.parameters()))
    up, down = (run("li", x, {"dt": 1e-3, "tau": 3e-3 * (1 + e)}, "value", "").square().sum() for e in (1e-4, -1e-4))
    assert found.item() == pytest.approx(((up - down) / 2e-4).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LIF(surrogate="step"), "fast_sigmoid, superspike, arctan, triangular, not 'step'"),
        (lambda: LIF(slope=-1.0), "slope of a surrogate gradient must be above 0"),
        (lambda: LIF(reset="soft"), "value, subtract, not 'soft'"),
        (lambda: LIF(refractory=-1), "whole number of steps, 0 for none, not -1"),
        (lambda: LIF(tau=0.0), "tau must be a number of seconds above 0, not 0"),
        (lambda: LIF(tau=torch.tensor([1e-3, -1.0])), "tau must be finite, and above 0"),
        (lambda: LIF(v_leak=float("nan")), "v_leak must be a finite number, not nan"),
        (lambda: LIF(trainable=("gain",)), "LIF has tau, r, v_leak, v_threshold, v_reset to be trained, not gain"),
        (lambda: LIF(dt=0.0), "dt must be a number of seconds above 0"),
        (lambda: Recurrent(LIF(), nn.Linear(3, 4)), "from all neurons to all, not from 3 to 4"),
    ],
)
def test_what_is_no_neuron_is_refused(make: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make()
