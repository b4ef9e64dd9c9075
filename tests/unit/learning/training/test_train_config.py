"""What a training is asked for: every optimizer, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from edgebll.kernel.errors import ConfigError, EdgebllError
from edgebll.learning import OPTIMIZERS
from edgebll.learning.training import TrainConfig, train

QUICK = TrainConfig(data="digits", network="mlp", blocks=2, epochs=2, batch_size=32, limit=320, checkpoint_steps=4)


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_learns_digits(tmp_path: Path, optimizer: str) -> None:
    config = TrainConfig(network="mlp", blocks=2, epochs=4, optimizer=optimizer, limit=960)
    assert train(config, tmp_path / "run")["accuracy"] > 0.85


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"batch_size": 400}, r"batch size must lie in 1\.\.320"),
        ({"network": "vgg"}, "unknown network 'vgg'"),
        ({"rule": "magic"}, "unknown rule 'magic'"),
        ({"rule_options": {"mtch": "2"}}, "no option 'mtch'"),
        ({"blocks": 9}, "can be cut into 1 to 4 blocks"),
        ({"rule": "backprop"}, "backprop trains one block"),
        ({"optimizer_options": {"momentum": 0.0}}, "Nesterov"),
        ({"optimizer_options": {"lr": 1.0}}, "give lr"),
        ({"optimizer": "lion"}, "unknown optimizer 'lion'"),
        ({"optimizer": "adam", "optimizer_options": {"momentum": 0.9}}, "no option 'momentum'"),
        ({"data": "mnist"}, "unknown data set"),
        ({"limit": 0}, "limit must be at least 1, not 0"),
        ({"batch_size": 1}, "cannot train on a batch of shape"),
    ],
)
def test_configs_that_cannot_be_trained_are_refused(tmp_path: Path, change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        train(replace(QUICK, **change), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()


@pytest.mark.parametrize(
    "change",
    [{"epochs": 0}, {"blocks": 0}, {"threads": 0}, {"seed": -1}, {"lr": 0.0}, {"schedule": "linear"}, {"warmup_steps": -1}],
)
def test_numbers_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(QUICK, **change)


def test_a_diverging_run_ends_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EdgebllError, match="run again with a smaller --lr"):
        train(replace(QUICK, lr=1e30, schedule="constant"), tmp_path / "run")
    assert not (tmp_path / "run" / "summary.json").exists()
    assert metrics(tmp_path / "run")[-1]["loss"] is None


def test_the_number_of_torch_threads_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    train(replace(QUICK, epochs=1, threads=before + 1), tmp_path / "run")
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(("rule", "blocks"), [("bll", 4), ("greedy", 4), ("backprop", 1)])
def test_digits_are_learnt(tmp_path: Path, rule: str, blocks: int) -> None:
    summary = train(TrainConfig(data="digits", network="resnet8", blocks=blocks, rule=rule, epochs=4), tmp_path / "run")
    assert summary["accuracy"] > 0.95
