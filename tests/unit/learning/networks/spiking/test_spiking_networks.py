"""The shipped spiking networks: how they read a sample's axes, their options, and backpropagation through time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.plain_neurons import run
from torch import Tensor
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.spiking.over_time import Recurrent

SMALL: dict[str, dict[str, Any]] = {"spiking-mlp": {"width": 12, "depth": 2}, "spiking-conv": {"width": 3, "depth": 2}}


def network(name: str, shape: tuple[int, ...], blocks: int = 1, **options: Any) -> BlockNetwork:
    return make_network(name, num_blocks=blocks, num_classes=4, input_shape=shape, seed=3, options={**SMALL[name], **options})


@pytest.mark.parametrize("name", SMALL)
def test_a_static_sample_is_the_same_current_in_each_time_step(name: str) -> None:
    still, moving = network(name, (2, 6, 6), time_steps=5).eval(), network(name, (5, 2, 6, 6)).eval()
    for mine, value in zip(moving.state_dict().values(), still.state_dict().values(), strict=True):
        mine.copy_(value)
    x = torch.randn(3, 2, 6, 6)
    assert torch.allclose(still(x), moving(x.unsqueeze(1).repeat(1, 5, 1, 1, 1)), atol=1e-6)


@pytest.mark.parametrize("name", SMALL)
def test_blocks_hand_on_spikes_over_time(name: str) -> None:
    made = network(name, (5, 2, 6, 6), blocks=2)
    assert made.time_steps == 5
    assert made.shapes[1][0] == 5
    spikes = made.blocks[0](torch.randn(3, 5, 2, 6, 6) * 2)
    assert set(spikes.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("recurrent", [False, True])
def test_backpropagation_through_time_is_that_of_a_loop(recurrent: bool) -> None:
    """The whole network without batch norm: scores, and the gradient of every weight, beside steps that are written out."""
    made = network("spiking-mlp", (6, 8), norm="none", tau=3e-3, recurrent=recurrent, v_threshold=0.2)
    x, y = torch.randn(4, 6, 8) * 4, torch.tensor([0, 1, 2, 3])
    weights = list(made.parameters())
    found = torch.autograd.grad(F.cross_entropy(made(x), y), weights)
    copies = [value.detach().clone().requires_grad_() for value in weights]
    scores = _plainly(copies, x, recurrent)
    assert torch.allclose(made(x), scores, atol=1e-6)
    for mine, plain in zip(found, torch.autograd.grad(F.cross_entropy(scores, y), copies), strict=True):
        assert plain.abs().max() > 0
        assert torch.allclose(mine, plain, rtol=1e-4, atol=1e-7)


def _plainly(weights: list[Tensor], x: Tensor, recurrent: bool) -> Tensor:
    values = {"dt": 1e-3, "tau": 3e-3, "v_threshold": 0.2, "v_reset": 0.0}
    left = list(weights)
    for _ in range(2):
        weight, bias = left.pop(0), left.pop(0)
        currents = torch.stack([F.linear(x[:, t], weight, bias) for t in range(x.shape[1])], 1)
        x = _recurrent(currents, left.pop(0)) if recurrent else run("lif", currents, values, "value", "arctan")
    out = torch.stack([F.linear(x[:, t], *left) for t in range(x.shape[1])], 1)
    return torch.stack(list(run("li", out, values, "value", "").unbind(1))).sum(0) / x.shape[1]


def _recurrent(currents: Tensor, weight: Tensor) -> Tensor:
    """Neurons that hear each other: each step is a loop's of one step, begun where the last one ended."""
    v, s, outs = torch.zeros_like(currents[:, 0]), torch.zeros_like(currents[:, 0]), []
    for t in range(currents.shape[1]):
        v = v + (1e-3 / 3e-3) * (-v + (currents[:, t] + F.linear(s, weight)))
        u = v - 0.2
        smooth = torch.atan(torch.pi * u) / torch.pi
        s = (u > 0).float() + smooth - smooth.detach()
        v = v * (1 - (u > 0).float())
        outs.append(s)
    return torch.stack(outs, 1)


@pytest.mark.parametrize("neuron", ["lif", "if", "cuba_lif", "alif"])
def test_each_kind_of_neuron_can_be_chosen(neuron: str) -> None:
    made = network("spiking-mlp", (2, 6, 6), neuron=neuron, reset="subtract", surrogate="triangular")
    kinds = {type(module).__name__.lower() for module in made.modules()}
    assert neuron.replace("_", "") in kinds
    assert made(torch.randn(2, 2, 6, 6) * 3).abs().max() > 0
    others = {"lif", "if", "cubalif", "alif"} - {neuron.replace("_", "")}
    assert not kinds & others


def test_options_reach_the_neurons() -> None:
    made = network("spiking-mlp", (2, 6, 6), learn_tau="yes", tau="0.004", recurrent="on", surrogate="arctan", slope=5.0)
    assert sum(isinstance(module, Recurrent) for module in made.modules()) == 2
    times = [value for name, value in made.named_parameters() if name.endswith("log_tau")]
    assert [round(value.exp().item(), 6) for value in times] == [0.004, 0.004]
    assert made.description["options"]["recurrent"] is True


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"neuron": "izhikevich"}, "lif, if, cuba_lif, alif, not 'izhikevich'"),
        ({"norm": "layer"}, "norm is batch or none, not 'layer'"),
        ({"surrogate": "step"}, "fast_sigmoid"),
        ({"tau": 0.0}, "tau must be a number of seconds above 0"),
        ({"v_threshold": 0.0}, "v_threshold must be above 0, where neurons rest"),
        ({"neuron": "if", "learn_tau": True}, "neuron if has no time constant"),
        ({"time_steps": 0}, "time_steps must be at least 1"),
        ({"recurrent": "maybe"}, "recurrent must be true or false, not 'maybe'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        network("spiking-mlp", (2, 6, 6), **options)


@pytest.mark.parametrize("shape", [(8,), (5, 8)])
def test_convolutions_need_images(shape: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match=r"takes images .* at each time step .* not samples of shape"):
        network("spiking-conv", shape)


def test_blocks_of_ones_own_must_keep_time() -> None:
    layers = [torch.nn.Linear(8, 6), torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 4))]
    assert BlockNetwork(layers, 4, (5, 8), time_steps=5).time_steps == 5
    with pytest.raises(ConfigError, match=r"block 0 must give features for each of 3 time steps, but its output has the shape"):
        BlockNetwork(layers, 4, (5, 8), time_steps=3)
    with pytest.raises(ConfigError, match="time steps"):
        BlockNetwork(layers, 4, (5, 8), time_steps=-1)
