"""Attention with seeded dropout: without dropping it is PyTorch's own, and dropping changes nothing on average."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from edgebll.learning import SGD, Backprop
from edgebll.learning.modules.seeded_attention import SeededAttention
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, verify_bundle

OPTIONS = [
    {},
    {"batch_first": True},
    {"bias": False},
    {"add_bias_kv": True},
    {"add_zero_attn": True, "batch_first": True},
    {"kdim": 5, "vdim": 7, "batch_first": True, "add_bias_kv": True},
]


def given(options: dict[str, Any], masks: str) -> tuple[list[torch.Tensor], dict[str, Any]]:
    """Query, key and value, and masks for them: "additive", "boolean", "a head", "padding" or none."""
    shapes = [(3, 4, 8), (3, 6, options.get("kdim", 8)), (3, 6, options.get("vdim", 8))]
    inputs = [torch.randn(shape) for shape in shapes]
    named: dict[str, Any] = {}
    if masks == "additive":
        named["attn_mask"] = torch.randn(4, 6)
    if masks == "boolean":
        named["attn_mask"] = torch.ones(4, 6, dtype=torch.bool).triu(3)
    if masks == "a head":
        named["attn_mask"] = torch.randn(6, 4, 6)
    if masks == "padding":
        named["key_padding_mask"] = torch.tensor([[0, 0, 0, 0, 1, 1]] * 3).bool()
    return [x if options.get("batch_first") else x.transpose(0, 1) for x in inputs], named


@pytest.mark.parametrize("masks", ["", "additive", "boolean", "a head", "padding"])
@pytest.mark.parametrize("options", OPTIONS)
def test_without_dropping_it_is_the_layer_itself(options: dict[str, Any], masks: str) -> None:
    torch.manual_seed(0)
    own = nn.MultiheadAttention(8, 2, dropout=0.5, **options)
    seeded = SeededAttention(own)
    seeded.dropout_layer.kept = 4096
    inputs, named = given(options, masks)
    reference = nn.MultiheadAttention(8, 2, **options)
    reference.load_state_dict(own.state_dict())
    for average in (True, False):
        expected = reference(*inputs, average_attn_weights=average, **named)
        for ours, theirs in zip(seeded(*inputs, average_attn_weights=average, **named), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert seeded(*inputs, need_weights=False, **named)[1] is None


def test_one_sample_without_a_batch_axis() -> None:
    own = nn.MultiheadAttention(8, 2, dropout=0.5)
    seeded = SeededAttention(own)
    seeded.dropout_layer.kept = 4096
    x = torch.randn(4, 8)
    own.dropout = 0.0
    for ours, theirs in itertools.zip_longest(seeded(x, x, x), own(x, x, x)):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_on_average_it_is_the_layer_without_dropout() -> None:
    torch.manual_seed(0)
    own = nn.MultiheadAttention(8, 2, dropout=0.25, batch_first=True)
    seeded = SeededAttention(own)
    x = torch.randn(2, 5, 8)
    with torch.no_grad():
        expected = own.eval()(x, x, x)[0]
        drawn = torch.stack([seeded(x, x, x)[0] for _ in range(4000)])
    spread = drawn.std(0) / len(drawn) ** 0.5
    assert float(((drawn.mean(0) - expected).abs() / spread).max()) < 5
    assert float(spread.min()) > 0


def test_an_encoder_layer_as_it_comes_trains_and_verifies(tmp_path: Path) -> None:
    """Dropout is 0.1 unless told otherwise, in attention too."""
    torch.manual_seed(0)
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = BlockNetwork([nn.Sequential(encoder, nn.Flatten(), nn.Linear(32, 3))], 3, (4, 8))
    export_bundle(network, rule=Backprop(), optimizer=SGD(lr=0.05), batch_size=4, path=tmp_path / "b")
    assert not any(row.failed for row in verify_bundle(tmp_path / "b", network=network))
    assert type(encoder.self_attn) is nn.MultiheadAttention
