"""Every rule trains on pixels as bytes what it trains on the numbers they stand for, to the bit."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from support.rules import DENSE
from torch import Tensor, nn

from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, Inputs
from edgebll_export.bundles.golden_vectors import StepRecord, eager_records

SHAPE, CLASSES, BATCH = (1, 8, 8), 3, 4
#: Options that make both networks see one image, and links reach a block's first layer.
OPTIONS: dict[str, dict[str, Any]] = {"infopro": {"mean": "0", "std": "1"}, "backlink": {"length": 9}}


class Scale(nn.Module):
    """Bytes as numbers from 0 to 1; numbers stay."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.is_floating_point() else x.float() / 255


def _records(rule: str, inputs: Inputs) -> list[list[StepRecord]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Sequential(OrderedDict(scale=Scale(), conv=nn.Conv2d(1, 4, 3, padding=1), tanh=nn.Tanh()))
        second = nn.Sequential(nn.Conv2d(4, 4, 3, stride=2), nn.Tanh())
        last = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
    made = make_rule(rule, **OPTIONS.get(rule, {}))
    blocks = [nn.Sequential(first, second, last)] if made.one_block else [first, second, last]
    network = BlockNetwork(blocks, CLASSES, SHAPE, input_dtype=inputs.dtype, example_inputs=inputs.examples)
    steps = make_steps(network, made, SGD(lr=0.1), BATCH)
    states = {step.name: step.initial_state() for step in steps}
    edges = made.edges([step.name for step in steps])
    return list(eager_records(steps, states, edges, 4, 0.1, inputs=network.inputs))


@pytest.mark.parametrize("rule", [name for name in DENSE if name != "auglocal"])  # which needs networks of units
def test_bytes_and_numbers_give_the_same_bits(rule: str) -> None:
    pixels = torch.randint(0, 256, (9, *SHAPE), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    whole = _records(rule, Inputs(SHAPE, "uint8", examples=pixels))
    numbers = _records(rule, Inputs(SHAPE, examples=pixels.float() / 255))
    assert whole[0][0].x.dtype == np.uint8
    for ours, expected in zip(whole, numbers, strict=True):
        for one, other in zip(ours, expected, strict=True):
            assert one.state.keys() == other.state.keys()
            assert all(np.array_equal(one.state[name], value) for name, value in other.state.items())
    start, end = whole[0][0].state, whole[-1][0].state
    assert any(not np.array_equal(start[name], value) for name, value in end.items()), "nothing was learnt"
