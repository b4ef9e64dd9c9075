"""Low-rank corrections: their formula on every kind of layer, merging, and the layers that have none."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from support.rules import DENSE
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.fine_tuning import FineTuning
from edgebll.kernel.state.network_tensors import network_tensors
from edgebll.learning import BLL, SGD, BlockStep, fine_tuned, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork, make_network

LAYERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(6, 5), (4, 6)),
    "linear on sequences": (nn.Linear(6, 5, bias=False), (4, 3, 6)),
    "convolution of one axis": (nn.Conv1d(3, 5, 3, stride=2, padding=1), (2, 3, 9)),
    "convolution": (nn.Conv2d(3, 5, 3, padding=1), (2, 3, 7, 7)),
    "strided and dilated": (nn.Conv2d(3, 5, 3, stride=2, padding=2, dilation=2, bias=False), (2, 3, 9, 9)),
    "reflected border": (nn.Conv2d(3, 5, 3, padding=1, padding_mode="reflect"), (2, 3, 7, 7)),
    "padding by name": (nn.Conv2d(3, 5, 3, padding="same"), (2, 3, 7, 7)),
    "groups": (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 7, 7)),
    "depthwise": (nn.Conv2d(4, 4, 3, groups=4), (2, 4, 7, 7)),
    "convolution of three axes": (nn.Conv3d(2, 4, 2), (2, 2, 4, 4, 4)),
}


def with_random_corrections(step: BlockStep, seed: int = 0) -> dict[str, torch.Tensor]:
    """The first state, but with corrections that are not zero."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(value.shape, generator=generator) if ".lora_" in name else value
        for name, value in step.initial_state().items()
    }


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("alpha", [None, 3.0])
def test_a_correction_is_that_of_the_weight(kind: str, alpha: float | None) -> None:
    """The layer itself with W + alpha / r B A gives the same to rounding, and the merged tensors are those."""
    layer, shape = LAYERS[kind]
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    features = layer(x)[0].numel()
    block = nn.Sequential(copy.deepcopy(layer))
    network = BlockNetwork([block, nn.Sequential(nn.Flatten(), nn.Linear(features, 3))], 3, shape[1:])
    tuning = FineTuning(adapter="lora", rank=2, alpha=alpha, adapt=("block0",))
    step = make_steps(fine_tuned(network, tuning), BLL(pool="none"), SGD(), len(x))[0]
    state = with_random_corrections(step)
    a, b = (state[f"net.0.lora_{which}"].double().numpy() for which in "ab")
    plain = copy.deepcopy(layer).double()
    with torch.no_grad():
        correction = torch.from_numpy(np.einsum("or,ri->oi", b, a.reshape(2, -1)).reshape(plain.weight.shape))
        plain.weight += (1.0 if alpha is None else alpha / 2) * correction
        expected = plain(x.double())
    found = step.forward(state, x).double()
    assert ((found - expected).abs() <= 1e-5 * expected.abs().max()).all()
    arrays, constants = ({name: value.numpy() for name, value in tensors.items()} for tensors in (state, step.constants))
    merged = network_tensors(arrays, constants, tuning)
    assert merged.keys() == {f"0.{name}" for name, _ in layer.named_parameters()}
    weight: Any = merged["0.weight"]
    np.testing.assert_allclose(weight, plain.weight.detach().numpy(), rtol=1e-5, atol=1e-5)


def test_training_begins_with_the_network_as_it_was() -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    x = torch.randn(4, 1, 8, 8)
    expected = copy.deepcopy(network).eval()(x)
    a = x
    for step in make_steps(fine_tuned(network, FineTuning(adapter="lora")), BLL(), SGD(), 4):
        a = step.forward(step.initial_state(), a)
    assert torch.equal(a, expected)


def test_only_the_corrections_are_state() -> None:
    network = make_network("resnet8", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=0)
    steps = make_steps(fine_tuned(network, FineTuning(adapter="lora", rank=2)), BLL(), SGD(momentum=0.0, nesterov=False), 4)
    for step in steps:
        own = [name for name in step.initial_state() if name.startswith("net.")]
        assert own
        assert all(name.endswith((".lora_a", ".lora_b")) for name in own)
        weights = {name for name in step.constants if name.endswith("weight")}
        plain = {f"net.{name}" for name, _ in network.blocks[int(step.name[-1])].named_parameters() if name.endswith("weight")}
        assert {name.replace(".base.", ".") for name in weights} == plain


def test_the_head_trains_itself_where_it_is_asked_for() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    steps = make_steps(fine_tuned(network, FineTuning(adapter="lora", trainable="head")), BLL(), SGD(), 4)
    own = [name for name in steps[1].trained if name.startswith("net.")]
    assert [name for name in own if "lora" not in name] == ["net.1.weight", "net.1.bias"]
    assert not [name for name in own if name.startswith("net.1.lora")]


@pytest.mark.parametrize("rule", DENSE)
def test_every_rule_trains_the_corrections(rule: str) -> None:
    """One step in the last block and in all the others moves B, and a second one A, which B = 0 had no gradient for."""
    made = make_rule(rule)
    network = make_network("resnet8", num_blocks=1 if made.one_block else 2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    step = make_steps(fine_tuned(network, FineTuning(adapter="lora")), made, SGD(), 4)[0]
    state = first = step.initial_state()
    x, y = torch.randn(4, 1, 8, 8), torch.eye(10)[:4]
    received = {spec.name: torch.zeros(spec.shape) for spec in step.spec.received}
    for _ in range(3):
        state = step(state, x, y, {"lr": torch.tensor(0.1)}, received).state
    corrections = [name for name in first if name.startswith("net.") and ".lora_" in name]
    assert [name for name in corrections if torch.equal(first[name], state[name])] == []


class Reading(nn.Module):
    """Multiplies by the weight of its part itself, as attention of many packages does."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = self.part.in_features**-0.5
        return scale * nn.functional.linear(x, self.part.weight, self.part.bias).relu()


PARENTS: dict[str, nn.Module] = {
    "reading": Reading(),
    "encoder": nn.TransformerEncoderLayer(6, 2, 12, dropout=0.0, batch_first=True),
}


@pytest.mark.parametrize("rule", ["backprop", "fa"])
@pytest.mark.parametrize("kind", PARENTS)
def test_whoever_reads_an_adapted_weight_gets_the_corrected_one(kind: str, rule: str) -> None:
    """Forward is that of the merged layers, and corrections learn through what is read."""
    block, x = PARENTS[kind], torch.randn(4, 3, 6)
    tuning = FineTuning(adapter="lora", rank=2, alpha=3.0)
    network = BlockNetwork([nn.Sequential(copy.deepcopy(block), nn.Flatten(), nn.Linear(18, 3))], 3, (3, 6))
    step = make_steps(fine_tuned(network, tuning), make_rule(rule), SGD(), 4)[0]
    state = with_random_corrections(step)
    arrays, constants = ({name: value.numpy() for name, value in tensors.items()} for tensors in (state, step.constants))
    merged = {name: torch.from_numpy(np.array(value)) for name, value in network_tensors(arrays, constants, tuning).items()}
    plain = copy.deepcopy(network.blocks[0]).eval()
    plain.load_state_dict({name: value for name, value in merged.items() if name in plain.state_dict()})
    with torch.no_grad():
        torch.testing.assert_close(step.forward(state, x), plain(x), rtol=1e-4, atol=1e-5)
    new = step(state, x, torch.eye(3)[[0, 1, 2, 0]], {"lr": torch.tensor(0.1)}).state
    corrections = [name for name in state if ".lora_" in name and name.startswith("net.")]
    assert corrections
    assert [name for name in corrections if torch.equal(new[name], state[name])] == []


def test_the_seed_decides_what_corrections_begin_with() -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)

    def begun(seed: int) -> list[torch.Tensor]:
        steps = make_steps(fine_tuned(network, FineTuning(adapter="lora"), seed), BLL(), SGD(), 4)
        return [
            value for step in steps for name, value in step.initial_state().items() if name in step.trained and "lora_a" in name
        ]

    assert all(torch.equal(*pair) for pair in zip(begun(3), begun(3), strict=True))
    assert not any(torch.equal(*pair) for pair in zip(begun(3), begun(4), strict=True))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 6)
        self.second.weight = self.first.weight
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(self.first(x))
        attended: torch.Tensor = self.attention(y, y, y)[0]
        return attended


@pytest.mark.parametrize(
    ("tuning", "reason"),
    [
        (FineTuning(adapter="lora"), "no linear layer or convolution to put an adapter on; freeze parts of it instead"),
        (FineTuning(adapter="lora", adapt=("0",)), "no linear layer or convolution to put an adapter on"),
    ],
)
def test_layers_whose_weights_others_read_have_no_adapter(tuning: FineTuning, reason: str) -> None:
    last = nn.Sequential(nn.Flatten(), nn.utils.parametrizations.weight_norm(nn.Linear(24, 3)))
    with pytest.raises(ConfigError, match=reason):
        fine_tuned(BlockNetwork([Tied(), last], 3, (4, 6)), tuning)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"adapt": ("block0.1",)},
            r"adapt 'block0\.1' means no linear layer or convolution; the network has block0\.0\.1",
        ),
        ({"adapt": ("blok0",)}, "adapt 'blok0' means no parameter of the network; near are block0"),
        ({"adapt": ("block1.1",), "trainable": "head"}, "every layer that would have an adapter is frozen, or is the head"),
        ({"adapt": ("block0",), "freeze": ("block0",)}, "every layer that would have an adapter is frozen"),
        ({"rank": 257}, "adapters of rank 257 correct weights whose full rank is 256 at most; take a smaller rank"),
    ],
)
def test_adapters_on_layers_that_can_have_none_are_refused(options: dict[str, object], reason: str) -> None:
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    network.blocks[0].add_module("1", nn.BatchNorm1d(256))
    with pytest.raises(ConfigError, match=reason):
        fine_tuned(network, FineTuning(adapter="lora", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"adapter": "bitfit"}, "the adapter must be none or lora, not 'bitfit'"),
        ({"adapter": "lora", "rank": 0}, "the rank of an adapter must be at least 1, not 0"),
        ({"adapter": "lora", "alpha": -1.0}, r"the alpha of an adapter must be a number above 0, not -1\.0"),
        ({"rank": 8}, "rank, alpha and adapt are an adapter's; give the adapter lora too"),
    ],
)
def test_adapters_out_of_range_are_refused(options: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        FineTuning(**options)  # type: ignore[arg-type]
