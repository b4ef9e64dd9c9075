"""What a seed decides: the blocks' first weights; where auxiliary networks begin is the same in every run, as the docs say."""

from __future__ import annotations

import torch

from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import make_network


def states(seed: int) -> list[dict[str, torch.Tensor]]:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=seed, options={"width": 8})
    return [step.initial_state() for step in make_steps(network, make_rule("predsim"), SGD(), 4)]


def test_seeds_draw_blocks_and_not_their_auxiliary_networks() -> None:
    first, other = states(0)[0], states(1)[0]
    heads = [name for name in first if name.startswith("head.")]
    weights = [name for name, value in first.items() if name.startswith("net.") and value.ndim == 2]
    assert heads
    assert weights
    assert all(torch.equal(first[name], other[name]) for name in heads)
    assert not any(torch.equal(first[name], other[name]) for name in weights)
