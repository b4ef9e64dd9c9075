"""Transformers: what a position sees, heads, and positions."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from support.networks import small_network
from torch.nn import functional as F

from edgebll.learning.networks import make_network
from edgebll.learning.networks.transformer_layers import Attention


def test_the_transformer_attends_with_one_head_to_all_positions() -> None:
    """A change at the last position reaches the first one; without positions, order would not matter."""
    network = small_network("transformer", num_blocks=1).eval()
    x = torch.eye(10)[torch.randperm(10, generator=torch.Generator().manual_seed(0))][None]
    changed = x.clone()
    changed[0, 9] = x[0, 8]
    assert not torch.allclose(network(x)[0, 0], network(changed)[0, 0])
    order = torch.arange(9, -1, -1)
    assert not torch.allclose(network(x)[0, order], network(x[:, order])[0])


def test_the_byte_transformer_sees_only_what_came_before() -> None:
    """The scores at a position change with each position up to it, and to the last bit with none behind it."""
    network = small_network("byte-transformer", num_blocks=2).eval()
    x = torch.eye(10)[torch.arange(10)][None]
    for changed in range(10):
        other = x.clone()
        other[0, changed] = torch.eye(10)[(changed + 3) % 10]
        same = (network(x) == network(other)).all(-1)[0]
        assert same.tolist() == [position < changed for position in range(10)]


def test_the_byte_transformer_starts_as_its_page_says() -> None:
    """Deviations of weights by what they map from; those beside a shortcut by the depth, too."""
    options = {"depth": 2, "dim": 64, "heads": 2, "hidden": 100}
    network = make_network("byte-transformer", num_blocks=1, num_classes=256, input_shape=(8, 256), seed=0, options=options)
    found = {name: value.std().item() for name, value in network.named_parameters() if value.ndim == 2}
    ends = {"embedding": 1.0, "out": 1 / 8 / 2, "linear2": 1 / 10 / 2, "mix": 1 / 8, "linear1": 1 / 8}
    for name, std in found.items():
        if "positions" not in name:
            kind = name.split(".")[-2]
            wanted = ends.get(kind, ends["embedding"] if kind == "linear" else 1 / 8)
            assert std == pytest.approx(wanted, rel=0.05), name
    assert all(value.eq(0).all() for name, value in network.named_parameters() if name.endswith("bias") and "norm" not in name)


def test_heads_attend_each_by_itself() -> None:
    """Against attention written out head by head and position by position."""
    torch.manual_seed(0)
    layer = Attention(6, heads=2, causal=True).double()
    x = torch.randn(1, 4, 6, dtype=torch.float64)
    q, k, v = (part[0].tolist() for part in F.linear(x, layer.mix.weight, layer.mix.bias).split(6, -1))
    mixed = torch.zeros(4, 6, dtype=torch.float64)
    for head, t in itertools.product(range(2), range(4)):
        own = range(3 * head, 3 * head + 3)
        weights = [math.exp(sum(q[t][i] * k[s][i] for i in own) / math.sqrt(3)) for s in range(t + 1)]
        for i in own:
            mixed[t, i] = sum(w * v[s][i] for s, w in enumerate(weights)) / sum(weights)
    expected = F.linear(mixed, layer.out.weight, layer.out.bias)
    assert torch.allclose(layer(x)[0], expected, atol=1e-12)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
def test_positions_are_learnt_or_fixed(positions: str) -> None:
    options = {"depth": 1, "dim": 8, "positions": positions}
    network = make_network("transformer", num_blocks=1, num_classes=10, input_shape=(10, 10), seed=0, options=options)
    named = dict(network.named_parameters() if positions == "learned" else network.named_buffers())
    (found,) = [value for name, value in named.items() if name.endswith("positions")]
    waves = [f(3 * rate) for rate in (1, 0.1, 0.01, 0.001) for f in (math.sin, math.cos)]
    assert found[3].tolist() == pytest.approx(waves, abs=1e-6)
