"""Layers that blocks share, layers that are frozen, and hooks on what a rule copies."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.plain_training import export, network_of
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.learning import SGD, FeedbackAlignment, Greedy, make_steps
from edgebll.learning.networks import BlockNetwork


@pytest.mark.parametrize("shared", ["layer", "parameter", "batch norm", "buffer"])
def test_blocks_that_share_are_refused(shared: str) -> None:
    first, last = nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6)), nn.Sequential(nn.Linear(6, 6), nn.BatchNorm1d(6))
    if shared == "layer":
        last[0] = first[0]
    elif shared == "parameter":
        last[0].weight = first[0].weight
    elif shared == "batch norm":
        last[1] = first[1]
    else:
        last[1].running_mean = first[1].running_mean
    with pytest.raises(ConfigError, match=r"block 1 has .* in common with block 0 .*copy\.deepcopy"):
        BlockNetwork([first, last], num_classes=6, input_shape=(6,))


def test_layers_without_tensors_may_be_shared() -> None:
    act = nn.ReLU()
    network = BlockNetwork([nn.Sequential(nn.Linear(6, 6), act), nn.Sequential(nn.Linear(6, 6), act)], 6, (6,))
    assert len(make_steps(network, Greedy(), SGD(), 2)) == 2


def test_a_rule_that_trains_a_copy_refuses_hooks() -> None:
    block = nn.Linear(6, 6)
    block.weight.register_hook(lambda g: 0 * g)
    with pytest.raises(ConfigError, match=r"fa trains a copy of the block, which loses the gradient hook of 'weight'"):
        make_steps(BlockNetwork([block], 6, (6,)), FeedbackAlignment(), SGD(), 2)


def test_frozen_layers_are_told(tmp_path: Path) -> None:
    from edgebll.kernel.bundle import open_bundle

    block = nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6).eval(), nn.Dropout(0.5))
    export(network_of(block, torch.zeros(2, 3)), tmp_path / "bundle")
    notes = open_bundle(tmp_path / "bundle").manifest.recipe["notes"]
    assert list(notes) == ["block0"]
    assert any("layer '1' (BatchNorm1d) is in evaluation mode and stays so" in note for note in notes["block0"])
    assert any("stands in for layer '2' (Dropout)" in note for note in notes["block0"])
