"""`edgebll rules`: equations, options, streams and what they carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from support.pipelines import invoke
from torch import nn

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import EdgeSpec
from edgebll.learning import RULES, Greedy, Objective
from edgebll.learning.networks import BlockNetwork, make_network
from edgebll.learning.objective import BlockPlace, Tensors
from edgebll.learning.rule_catalogue import catalogue


def listed(*options: object) -> dict[str, dict]:
    return {entry["name"]: entry for entry in json.loads(invoke("rules", "--json", *options))}


def test_every_rule_is_listed_with_its_loss_and_options() -> None:
    entries = listed("--network", "mlp")
    assert list(entries) == list(RULES)
    for name, rule in RULES.items():
        assert entries[name]["options"] == rule().options()
        assert entries[name]["equation"].startswith("L = ")
        assert entries[name]["summary"].endswith(".")


def test_streams_tell_bytes_per_sample_and_direction() -> None:
    """resnet8 on 28x28: 16 maps of 14x14 behind the stem and the first residual block, 32 of 7x7 behind the second."""
    entries = listed("--network", "resnet8", "--blocks", 4, "--input-shape", "1x28x28")
    greedy = entries["greedy"]
    labels = 4 * 10
    expected = [4 * 28 * 28 + labels, 4 * 16 * 14 * 14 + labels, 4 * 16 * 14 * 14 + labels, 4 * 32 * 7 * 7 + labels]
    assert [stream["bytes_per_sample"] for stream in greedy["streams"]] == expected
    assert [(stream["source"], stream["target"]) for stream in greedy["streams"][:2]] == [
        ("host", "block0"),
        ("block0", "block1"),
    ]
    assert (greedy["forward"], greedy["backward"]) == (max(expected), 0)
    assert len(entries["fa"]["streams"]) == 1


def test_by_default_the_task_is_the_networks_own() -> None:
    """The transformer reverses ten numbers: every position has features and a label."""
    text = invoke("rules", "--network", "transformer", "--blocks", 2)
    assert "transformer, samples of 10x10, 10 classes" in text
    assert listed("--network", "transformer", "--blocks", 2)["bll"]["streams"][0]["bytes_per_sample"] == 4 * (100 + 100)


class Teller(Objective):
    """The task loss at every block, which sends a table of 16 numbers."""

    def outgoing(self, feedback: Tensors, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"table": torch.zeros(4, 4)}


@dataclass(frozen=True)
class Backward(Greedy):
    """Every block sends a table back to the first one, too."""

    name: ClassVar[str] = "backward"

    def objective(self, place: BlockPlace) -> Objective:
        return Teller()

    def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
        return (*super().edges(blocks), *(EdgeSpec(name, blocks[0], ("table",), 2) for name in blocks[1:]))


def test_backward_streams_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "backward", Backward)
    entry = listed("--network", "mlp", "--blocks", 3)["backward"]
    assert [stream["lag"] for stream in entry["streams"]] == [0, 0, 0, 2, 2]
    assert entry["backward"] == 2 * 16 * 4 / 64
    assert "2 steps late" in invoke("rules", "--network", "mlp", "--blocks", 3)


def test_rules_that_cannot_train_the_network_say_why() -> None:
    def build(count: int) -> BlockNetwork:
        return BlockNetwork([nn.Linear(4, 3) if k == count - 1 else nn.Linear(4, 4) for k in range(count)], 3, (4,))

    refused = {entry.name: entry.refusal for entry in catalogue(build, 2) if entry.refusal}
    assert list(refused) == ["auglocal", "infopro", "decolle", "eprop"]
    assert "units can be built again" in refused["auglocal"]


def test_an_edge_must_name_a_tensor_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd(Backward):
        def edges(self, blocks: Sequence[str]) -> tuple[EdgeSpec, ...]:
            return (EdgeSpec(blocks[0], blocks[1], ("spirit",)),)

    monkeypatch.setitem(RULES, "greedy", Odd)
    with pytest.raises(ConfigError, match="block0 has no tensor 'spirit' to send to block1"):
        catalogue(lambda count: make_network("mlp", num_blocks=count, num_classes=3, input_shape=(4,), seed=0), 2)


def test_one_rule_is_shown_with_its_own_streams() -> None:
    """In the list those of greedy are told to be those of bll; alone they are shown."""
    text = invoke("rules", "greedy", "--network", "mlp", "--blocks", 2)
    assert "greedy: Greedy local learning" in text
    assert "block0 -> block1" in text
    assert "bll:" not in text
    assert list(listed("greedy", "--network", "mlp")) == ["greedy"]
    assert listed("greedy")["greedy"] == listed()["greedy"]


def test_text_for_people() -> None:
    text = invoke("rules", "--network", "mlp", "--input-shape", "3x4x4", "--classes", 5)
    assert "fa: Feedback Alignment" in text
    assert "streams: those of bll" in text
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize(
    "options",
    [("--network", "vgg99"), ("--blocks", 99), ("--input-shape", "3,4"), ("--input-shape", "0"), ("--classes", 1), ("bl",)],
)
def test_wrong_requests_are_refused(options: tuple[object, ...]) -> None:
    invoke("rules", *options, code=2)
