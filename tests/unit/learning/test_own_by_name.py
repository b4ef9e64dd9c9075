"""Rules, optimisers and networks of a user's own files, by name wherever the built-in ones go by theirs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from edgebll.kernel.errors import ConfigError
from edgebll.kernel.own_code import CodeOrigin
from edgebll.kernel.support.plain_dataclasses import from_plain
from edgebll.learning import OPTIMIZER_REGISTRY, RULE_REGISTRY, SGD, is_one_block, make_optimizer, make_rule
from edgebll.learning.networks import make_network, rebuild_network
from edgebll.learning.training import TrainConfig

OWN = '''
from dataclasses import dataclass

from torch import nn

from edgebll.learning import BLL, Optimizer, Rule
from edgebll.learning.networks import BlockNetwork
from edgebll.learning.objective import PredictiveObjective


@dataclass(frozen=True)
class Probe(Rule):
    """A linear probe on flattened outputs."""

    strength: float = 1.0

    def local_objective(self, place):
        size = 1
        for n in place.output_shape:
            size *= n
        return PredictiveObjective(lambda: nn.Sequential(nn.Flatten(), nn.Linear(size, place.num_classes)))


def strong(match=2.0):
    return BLL(match=match)


class Whole(Probe):
    one_block = True


@dataclass(frozen=True)
class Plain(Optimizer):
    """p - lr g."""

    def initial_moments(self, parameters):
        return {}

    def descend(self, parameters, gradients, moments, lr):
        return {name: value - lr * gradients[name] for name, value in parameters.items()}


def hidden(width, num_classes, input_shape):
    features = 1
    for n in input_shape:
        features *= n
    return [nn.Sequential(nn.Flatten(), nn.Linear(features, width), nn.ReLU()), nn.Linear(width, num_classes)]


FIXED = BlockNetwork([nn.Sequential(nn.Flatten(), nn.Linear(64, 10))], num_classes=10, input_shape=(1, 8, 8))
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("own") / "own_things.py"
    file.write_text(OWN)
    return file


def test_a_rule_and_an_optimizer_by_class_and_by_factory(own: Path) -> None:
    rule = make_rule(f"{own}:Probe", strength="0.5", label_smoothing="0.25")
    assert (rule.options(), rule.name, rule.summary) == (
        {"strength": 0.5, "label_smoothing": 0.25},
        "probe",
        "A linear probe on flattened outputs.",
    )
    assert make_rule(f"{own}:strong", match="3") == make_rule("bll", match=3.0)
    assert make_optimizer(f"{own}:Plain", lr=0.5, clip_norm="1").options() == {"name": "plain", "lr": 0.5, "clip_norm": 1.0}
    assert [is_one_block(f"{own}:{name}") for name in ("Probe", "Whole", "strong")] == [False, True, False]


def test_what_a_bundle_remembers_makes_the_same_again(own: Path) -> None:
    optimizer = make_optimizer(f"{own}:Plain")
    record = OPTIMIZER_REGISTRY.record(optimizer, optimizer.name)
    assert record["name"] == "own_things.py:Plain"
    assert OPTIMIZER_REGISTRY.recall(record["name"], {"lr": 0.25}, record["code"], "b") == type(optimizer)(lr=0.25)
    assert OPTIMIZER_REGISTRY.record(SGD(), "sgd") == {"name": "sgd"}
    assert RULE_REGISTRY.record(make_rule(f"{own}:strong"), "bll") == {"name": "bll"}, "a factory's rule is what it is"


@pytest.mark.parametrize("option", ["name", "code"])
def test_an_optimizer_whose_option_a_bundle_would_lose_is_refused(option: str, own: Path) -> None:
    file = own.with_name(f"own_{option}.py")
    file.write_text(OWN.replace('"""p - lr g."""', f'{option}: str = "mine"'))
    words = f"the optimizer Plain has an option called '{option}', which a bundle has for something else; call it otherwise"
    with pytest.raises(ConfigError, match=words):
        TrainConfig(optimizer=f"{file}:Plain").completed()
    optimizer = make_optimizer(f"{file}:Plain")
    with pytest.raises(ConfigError, match=words):
        OPTIMIZER_REGISTRY.record(optimizer, "plain")


def test_a_network_in_blocks_of_its_own_is_rebuilt_from_its_description(own: Path) -> None:
    shape = (1, 8, 8)
    network = make_network(f"{own}:hidden", num_classes=10, input_shape=shape, seed=3, options={"width": "16"})
    assert network.shapes == [shape, (16,), (10,)]
    code = network.description.pop("code")
    assert network.description == {"name": "own_things.py:hidden", "options": {"width": 16, "num_blocks": 2}}
    again = rebuild_network({**network.description, "code": code}, 10, shape)
    assert [tuple(value.shape) for value in again.parameters()] == [tuple(value.shape) for value in network.parameters()]
    with pytest.raises(ConfigError, match="comes in 2 blocks, not 3; leave the number of blocks out"):
        make_network(f"{own}:hidden", num_blocks=3, num_classes=10, input_shape=shape, seed=3, options={"width": "16"})
    with pytest.raises(ConfigError, match="hidden needs width; give it as an option"):
        make_network(f"{own}:hidden", num_classes=10, input_shape=shape, seed=3)


def test_a_network_that_is_there_already_is_copied_and_must_fit(own: Path) -> None:
    first = make_network(f"{own}:FIXED", num_classes=10, input_shape=(1, 8, 8), seed=3)
    with torch.no_grad():
        next(first.parameters()).zero_()
    second = make_network(f"{own}:FIXED", num_classes=10, input_shape=(1, 8, 8), seed=3)
    assert next(second.parameters()).abs().sum() > 0
    with pytest.raises(ConfigError, match=r"is made for samples of shape \(1, 8, 8\) in 10 classes, but the data"):
        make_network(f"{own}:FIXED", num_classes=10, input_shape=(3, 4, 4), seed=3)


def test_a_run_remembers_where_everything_is(own: Path) -> None:
    config = TrainConfig(
        network=f"{own}:hidden",
        network_options={"width": "16"},
        rule=f"{own}:strong",
        optimizer=f"{own}:Plain",
        lr=0.5,
        blocks=None,
    ).completed()
    assert {what: origin.short for what, origin in config.code.items()} == {
        "network": "own_things.py:hidden",
        "rule": "own_things.py:strong",
        "optimizer": "own_things.py:Plain",
    }
    assert (config.network_options, config.rule_options, config.optimizer_options) == (
        {"width": 16},
        {"match": 2.0},
        {"clip_norm": 0.0},
    )
    assert config.completed() == config
    assert config.make_optimizer().lr == 0.5
    origin = from_plain(CodeOrigin, {"reference": f"{own}:Probe", "files": {str(own): "0" * 64}})
    with pytest.raises(ConfigError, match=r"own_things\.py, which has changed since: its SHA-256 was 000000000000\.\.\."):
        RULE_REGISTRY.make("probe", {}, origin)
