"""The step of a block that learns online: what it carries, what it begins anew, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, BlockStep, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.networks.spiking.lif import LIF
from edgebll.learning.networks.spiking.over_time import OverTime
from edgebll.learning.networks.spiking.readout import LI, MeanOverTime

B, T, SHAPE = 4, 6, (6, 2, 3, 3)
KINDS: dict[str, dict[str, Any]] = {
    "lif": {},
    "cuba": {"neuron": "cuba_lif", "reset": "subtract"},
    "alif, recurrent": {"neuron": "alif", "recurrent": True},
}


def steps_of(chunk: int, shape: tuple[int, ...] = SHAPE, last_batch: str = "drop", **options: Any) -> list[BlockStep]:
    how = {"width": 8, "depth": 2, "time_steps": T, "v_threshold": 0.2, **options}
    network = make_network("spiking-mlp", num_blocks=2, num_classes=3, input_shape=shape, seed=2, options=how)
    return make_steps(network, make_rule("decolle", chunk=chunk), SGD(), B, last_batch=last_batch)


def batch(shape: tuple[int, ...] = SHAPE, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(B, *shape, generator=generator) * 3, torch.eye(3)[torch.arange(B) % 3]


def told(lr: float, *, reset: bool, **more: float) -> dict[str, Tensor]:
    return {name: torch.tensor(value) for name, value in {"lr": lr, "reset": float(reset), **more}.items()}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_carried_makes_chunks_one_sample(kind: str) -> None:
    """Without learning, chunk by chunk the first block gives what evaluation gives of the whole, bit for bit."""
    x, y = batch()
    for chunk in (1, 2, 3):
        step = steps_of(chunk, norm="none", **KINDS[kind])[0]
        state, given = step.initial_state(), []
        for index in range(T // chunk):
            stepped = step(state, x[:, index * chunk : (index + 1) * chunk], y, told(0.0, reset=index == 0))
            state = stepped.state
            given.append(stepped.a)
        whole = step.forward(state, x)
        assert 0.02 < float(whole.mean()) < 0.98
        assert torch.equal(torch.cat(given, 1), whole), "and evaluation has not seen what is carried"


def test_samples_without_time_go_whole_to_each_chunk() -> None:
    shape = (2, 3, 3)
    (x, y), (first, _) = batch(shape), steps_of(2, shape, norm="none")
    state, given = first.initial_state(), []
    for index in range(T // 2):
        stepped = first(state, x, y, told(0.0, reset=index == 0))
        state = stepped.state
        given.append(stepped.a)
    assert first.spec.static
    assert torch.equal(torch.cat(given, 1), first.forward(state, x))


def test_a_reset_begins_anew() -> None:
    step, (x, y), (other, _) = steps_of(2)[0], batch(), batch(seed=1)
    start = step.initial_state()
    used = step(start, other[:, :2], y, told(0.0, reset=True)).state
    carried = [name for name in start if "carried" in name]
    assert any((used[name] != 0).any() for name in carried)
    fresh = step(start, x[:, :2], y, told(0.1, reset=True))
    again = step({**start, **{name: used[name] for name in carried}}, x[:, :2], y, told(0.1, reset=True))
    going_on = step({**start, **{name: used[name] for name in carried}}, x[:, :2], y, told(0.1, reset=False))
    assert all(torch.equal(fresh.state[name], again.state[name]) for name in start)
    assert not torch.equal(fresh.a, going_on.a)


def test_what_fills_a_batch_up_weighs_nothing() -> None:
    step, (x, y) = steps_of(3, last_batch="mask", norm="none")[0], batch()
    more = {"count": 3.0}
    ours = step(step.initial_state(), x[:, :3], y, told(0.1, reset=True, **more)).state
    x = torch.cat([x[:3], 5 * x[3:]])
    others = step(step.initial_state(), x[:, :3], y, told(0.1, reset=True, **more)).state
    weights = [name for name in ours if name.startswith("net.0")]
    assert weights
    assert all(torch.equal(ours[name], others[name]) for name in weights)


def own(*layers: nn.Module, steps: int = T) -> BlockNetwork:
    last = nn.Sequential(OverTime(nn.Linear(4, 3)), LI(), MeanOverTime())
    return BlockNetwork([nn.Sequential(*layers), last], 3, (T, 4), time_steps=steps)


def linear() -> OverTime:
    return OverTime(nn.Linear(4, 4))


@pytest.mark.parametrize(
    ("network", "options", "sentence"),
    [
        (own(linear(), LIF()), {"chunk": 4}, "chunk must divide the 6 time steps of a sample, or be 0 for all, not 4"),
        (own(linear(), LIF()), {"chunk": -1}, "not -1"),
        (own(linear(), LIF()), {"lambda1": -1.0}, "decolle's lambda1 must"),
        (own(linear(), nn.ReLU(), LIF()), {}, "but not a ReLU; train this network with bll"),
        (own(linear(), LIF(trainable=("tau",))), {}, "does not train values of the neurons themselves"),
        (own(linear(), LIF(tau=[1e-3, 2e-3, 3e-3, 4e-3])), {}, "neurons of a layer that share one tau, but LIF's are 4"),
        (own(linear(), LIF(), linear()), {}, "each block must end in neurons"),
        (own(LIF()), {}, "all of block0 is frozen"),
        (make_network("mlp", num_blocks=2, num_classes=3, input_shape=(4,), seed=0), {}, "trains spiking networks"),
    ],
)
def test_what_it_cannot_train_it_refuses(network: BlockNetwork, options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        make_steps(network, make_rule("decolle", **options), SGD(), B)


def test_other_precisions_are_refused() -> None:
    with pytest.raises(ConfigError, match="decolle computes in float32, not mixed"):
        make_steps(own(linear(), LIF()), make_rule("decolle"), SGD(), B, "mixed")
