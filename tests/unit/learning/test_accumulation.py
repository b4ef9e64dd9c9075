"""Weights that move once every few steps, beside PyTorch's own loop of loss / N and a step of the optimiser every N-th time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import BLL, SGD, AdamW, Backprop, Optimizer, fine_tuned, make_optimizer, make_steps
from edgebll.learning.networks import BlockNetwork

STEPS, BATCH = 6, 8
KINDS: dict[str, tuple[Optimizer, Callable[[Iterable[Tensor]], torch.optim.Optimizer]]] = {
    "sgd": (
        SGD(0.1, nesterov=False, weight_decay=0.0),
        lambda parameters: torch.optim.SGD(parameters, 0.1, momentum=0.9),
    ),
    "adamw": (AdamW(0.01), lambda parameters: torch.optim.AdamW(parameters, 0.01, weight_decay=0.01)),
}


def network() -> BlockNetwork:
    torch.manual_seed(0)
    layers = nn.Linear(6, 8, bias=False), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 3)
    return BlockNetwork([nn.Sequential(*layers)], 3, (6,))


def batches() -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(BATCH, 6, generator=generator), torch.randint(3, (BATCH,), generator=generator)) for _ in range(STEPS)]


def states(network: BlockNetwork, optimizer: Optimizer) -> list[dict[str, Tensor]]:
    """The state before the first step and after each."""
    (step,) = make_steps(network, Backprop(), optimizer, BATCH)
    found = [step.initial_state()]
    for x, y in batches():
        found.append(dict(step(found[-1], x, F.one_hot(y, 3).float(), {"lr": torch.tensor(optimizer.lr)}).state))
    return found


def in_torch(optimizer: torch.optim.Optimizer, module: nn.Module, every: int, clip: float) -> list[dict[str, Tensor]]:
    """The module's state after each step of a plain loop."""
    found = []
    for index, (x, y) in enumerate(batches(), 1):
        (F.cross_entropy(module(x), y) / every).backward()
        if index % every == 0:
            if clip:
                nn.utils.clip_grad_norm_(module.parameters(), clip)
            optimizer.step()
            optimizer.zero_grad()
        found.append({name: value.clone() for name, value in module.state_dict().items()})
    return found


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("every", "clip"), [(2, 0.0), (3, 0.0), (3, 0.05), (4, 0.0)])
def test_six_steps_equal_a_plain_loop(kind: str, every: int, clip: float) -> None:
    """After every step: weights that wait, running statistics that do not, and gradients clipped as a mean."""
    ours, theirs = KINDS[kind]
    module = copy.deepcopy(network().blocks[0]).train()
    expected = in_torch(theirs(module.parameters()), module, every, clip)
    for index, state in enumerate(states(network(), replace(ours, accumulate=every, clip_norm=clip))[1:]):
        assert float(state["accumulated"]) == (index + 1) % every
        for name, value in expected[index].items():
            if name != "1.num_batches_tracked":
                assert torch.allclose(state[f"net.{name}"], value, rtol=1e-4, atol=1e-6), (index, name)


@pytest.mark.parametrize("tuning", [FineTuning(), FineTuning(lr_for={"3": 0.5})], ids=["all alike", "groups"])
def test_between_updates_weights_and_moments_keep_their_bits(tuning: FineTuning) -> None:
    found = states(fine_tuned(network(), tuning), AdamW(0.01, accumulate=3))
    still = [n for n in found[0] if not n.startswith("accumulated") and "running" not in n and "tracked" not in n]
    for index in range(STEPS):
        moved = [name for name in still if not torch.equal(found[index][name], found[index + 1][name])]
        assert moved == ([] if (index + 1) % 3 else still), index


@pytest.mark.parametrize("optimizer", [SGD(), AdamW()], ids=lambda o: o.name)
def test_the_state_grows_by_one_sum_a_weight_and_a_count(optimizer: Optimizer) -> None:
    small, large = (make_steps(network(), Backprop(), o, 8)[0].spec for o in (optimizer, replace(optimizer, accumulate=4)))
    weights = sum(value.nbytes for value in network().blocks[0].parameters())
    assert large.state_bytes == small.state_bytes + weights + 4
    added = {t.name for t in large.state} - {t.name for t in small.state}
    assert added == {"accumulated"} | {f"accumulated.net.{name}" for name, _ in network().blocks[0].named_parameters()}


def test_an_update_every_step_is_told_as_before() -> None:
    assert "accumulate" not in SGD().options()
    built = make_optimizer("adamw", accumulate="4")
    assert built.options()["accumulate"] == 4
    assert make_optimizer(**built.options()) == built


@pytest.mark.parametrize(
    ("value", "words"), [(0, r"accumulate must lie in 1\.\.65536 steps of an update, but is 0"), ("2.5", "must be an int")]
)
def test_wrong_numbers_are_refused(value: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_optimizer("sgd", accumulate=value)


@pytest.mark.parametrize("value", [2.5, 2.0, "2", None, True])
def test_what_is_no_whole_number_is_refused_from_python_too(value: Any) -> None:
    with pytest.raises(ConfigError, match=f"sgd's accumulate must be a whole number, not {value!r}"):
        SGD(accumulate=value)
    with pytest.raises(ConfigError, match=f"bll's head_size must be a whole number, not {value!r}"):
        BLL(head_size=value)
    with pytest.raises(ConfigError, match=f"the rank of an adapter must be a whole number, not {value!r}"):
        FineTuning(adapter="lora", rank=value)
    with pytest.raises(ConfigError, match=f"the batch size must be a whole number, not {value!r}"):
        make_steps(network(), Backprop(), SGD(), value)
