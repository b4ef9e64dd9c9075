"""Layers in plain lists: named and refused, with what to do, where they would have to train."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest
import torch
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.learning import SGD, Greedy, fine_tuned, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork


class Keeping(nn.Module):
    """Has a layer of its own, and others in `kept`."""

    def __init__(self, kept: Any) -> None:
        super().__init__()
        self.own = nn.Linear(4, 4)
        self.kept = kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.own(x)
        return found


def network(block: nn.Module) -> BlockNetwork:
    return BlockNetwork([nn.Sequential(block), nn.Linear(4, 3)], 3, (4,))


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        ([nn.ReLU(), nn.Linear(4, 4)], "a Linear in its attribute 'kept', a plain list, .*; make that an nn.ModuleList, or"),
        ((nn.Sequential(nn.Linear(4, 4)),), "a Sequential in its attribute 'kept', a plain tuple, .* nn.ModuleList"),
        ({"a": nn.Linear(4, 4)}, "a Linear in its attribute 'kept', a plain dict, .* nn.ModuleDict"),
        ([[{"deep": nn.Linear(4, 4)}]], "a Linear in its attribute 'kept', a plain list, .* nn.ModuleList"),
        (deque([nn.Linear(4, 4)]), "a Linear in its attribute 'kept', a plain deque, .* nn.ModuleList"),
        ([nn.Parameter(torch.ones(4))], "a parameter in its attribute 'kept', a plain list, .* nn.ParameterList"),
        ({1: nn.Parameter(torch.ones(4))}, "a parameter in its attribute 'kept', a plain dict, .* nn.ParameterDict"),
    ],
)
@pytest.mark.parametrize("rule", ["greedy", "backlink"])
def test_what_would_not_train_is_refused_by_name(kept: Any, reason: str, rule: str) -> None:
    with pytest.raises(ConfigError, match=rf"^block0\.0 keeps {reason}.* freeze what is in it with requires_grad_\(False\)$"):
        make_steps(network(Keeping(kept)), make_rule(rule), SGD(), 2)


def test_what_does_no_harm_is_taken() -> None:
    """A frozen teacher, a layer that is registered too, one without parameters, a list that holds itself."""
    block = Keeping([nn.Linear(4, 4).requires_grad_(False), nn.ReLU(), 3, None])
    block.kept += [block.own, block.own.weight, block.kept]
    make_steps(network(block), Greedy(), SGD(), 2)


def test_a_network_with_adapters_and_a_rule_that_puts_layers_in_the_place_of_others_hide_nothing() -> None:
    made = BlockNetwork([nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))], 3, (4,))
    tuned = fine_tuned(made, FineTuning(adapter="lora"))
    for rule in ("backprop", "fa"):
        make_steps(tuned, make_rule(rule), SGD(), 2)
