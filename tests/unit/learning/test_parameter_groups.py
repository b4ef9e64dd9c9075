"""Learning rates and weight decays by pattern, beside PyTorch's own optimisers with parameter groups."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import SGD, AdamW, Backprop, Optimizer, fine_tuned, make_steps
from edgebll.learning.finetuning.tuning_options import tuning_of
from edgebll.learning.networks import BlockNetwork

LR, DECAY = 0.05, 0.02
TUNING = FineTuning(lr_for={"0": 0.1, "0.bias": 4.0}, decay_for={"*.bias": 0.0, "block0.2.weight": 0.3})
#: What the tuning means, written out: (parameter, factor, weight decay).
GROUPS = [("0.weight", 0.1, DECAY), ("0.bias", 4.0, 0.0), ("2.weight", 1.0, 0.3), ("2.bias", 1.0, 0.0)]
KINDS: dict[str, tuple[Optimizer, Callable[[Any], torch.optim.Optimizer]]] = {
    "sgd": (
        SGD(LR, momentum=0.9, nesterov=True, weight_decay=DECAY),
        lambda groups: torch.optim.SGD(groups, momentum=0.9, nesterov=True),
    ),
    "adamw": (AdamW(LR, weight_decay=DECAY), torch.optim.AdamW),
}


def network() -> BlockNetwork:
    torch.manual_seed(0)
    return BlockNetwork([nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3))], 3, (6,))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_six_steps_equal_parameter_groups_of_pytorch(kind: str, clip: float) -> None:
    ours, theirs = KINDS[kind]
    tuned = fine_tuned(network(), TUNING)
    step = make_steps(tuned, Backprop(), replace(ours, clip_norm=clip), 4)[0]
    state = step.initial_state()
    module = copy.deepcopy(network().blocks[0])
    named = dict(module.named_parameters())
    optimizer = theirs([{"params": [named[name]], "lr": LR * rate, "weight_decay": decay} for name, rate, decay in GROUPS])
    generator = torch.Generator().manual_seed(1)
    for _ in range(6):
        x, y = torch.randn(4, 6, generator=generator), torch.randint(3, (4,), generator=generator)
        state = step(state, x, F.one_hot(y, 3).float(), {"lr": torch.tensor(LR)}).state
        optimizer.zero_grad()
        F.cross_entropy(module(x), y).backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
    for name, value in named.items():
        assert torch.allclose(state[f"net.{name}"], value, rtol=1e-4, atol=1e-6), name


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.second(self.first(x).tanh())
        return found


@pytest.mark.parametrize("name", ["first.weight", "second.weight"])
def test_a_tied_weight_has_its_number_by_any_of_its_names(name: str) -> None:
    torch.manual_seed(0)
    module = Tied()
    tuning = FineTuning(lr_for={name: 0.1}, decay_for={f"block0.{name}": 0.3})
    tuned = fine_tuned(BlockNetwork([module], 6, (6,)), tuning)
    step = make_steps(tuned, Backprop(), SGD(LR, momentum=0.0, nesterov=False, weight_decay=0.0), 4)[0]
    x, y = torch.randn(4, 6), torch.tensor([0, 1, 2, 3])
    state = step(step.initial_state(), x, F.one_hot(y, 6).float(), {"lr": torch.tensor(LR)}).state
    biases = [module.first.bias, module.second.bias]
    groups: list[dict[str, Any]] = [{"params": [module.first.weight], "lr": 0.1 * LR, "weight_decay": 0.3}, {"params": biases}]
    optimizer = torch.optim.SGD(groups, lr=LR)
    F.cross_entropy(module(x), y).backward()
    optimizer.step()
    for path, value in module.named_parameters(remove_duplicate=False):
        torch.testing.assert_close(state[f"net.{path}"], value.detach(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("tuning", "reason"),
    [
        (FineTuning(lr_for={"9.*": 0.1}), r"lr_for '9\.\*' means no parameter of the network"),
        (FineTuning(decay_for={"bias": 0.0}), r"decay_for 'bias' means no parameter of the network; near are block0\.2\.bias"),
        (FineTuning(("0",), lr_for={"0.*": 0.1}), r"lr_for '0\.\*' means only what is frozen; leave it out"),
    ],
)
def test_patterns_that_mean_nothing_that_trains_are_refused(tuning: FineTuning, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        fine_tuned(network(), tuning)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lr_for": ["0.1"]}, r"must be PATTERN=NUMBER, e\.g\. block0\.\*=0\.1, not '0\.1'"),
        ({"lr_for": ["a=b"]}, "must be PATTERN=NUMBER"),
        ({"decay_for": ["a=1", "a=2"]}, "the pattern 'a' is given two numbers"),
        ({"lr_for": {"a": 0}}, r"the factor of 'a' must be a number above 0, not 0\.0; to keep it as it is freeze it"),
        ({"decay_for": {"a": -1}}, r"the weight decay of 'a' must be a number of 0 or more, not -1\.0"),
    ],
)
def test_numbers_that_are_none_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        tuning_of(options)


def test_texts_and_tables_mean_the_same() -> None:
    assert tuning_of({"lr_for": ["a[=]b=0.5", "c=2"]}) == tuning_of({"lr_for": {"a[=]b": 0.5, "c": 2.0}})
