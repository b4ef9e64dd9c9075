"""Options that a network in one block leaves unread are told of; that nothing reads them is seen in the step's bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from support.rules import DENSE
from typer.testing import CliRunner

import edgebll
from edgebll.cli.app import app
from edgebll.learning import RULES, BlockStep, make_rule, make_steps
from edgebll.learning.idle_options import idle_options

#: Of every rule that trains several blocks, options that are not its defaults.
GIVEN: dict[str, dict[str, Any]] = {
    "bll": {"match": 2.0, "pool": "max", "decorrelate": 0.5},
    "predsim": {"similarity": 0.5},
    "pred": {"decoder_size": 3},
    "greedy": {"head_size": 1},
    "dgl": {"hidden_layers": 1},
    "auglocal": {"depth": 1},
    "man": {"hidden_layers": 1},
    "infopro": {"reconstruct_first": 2.0, "decoder": 4},
    "backlink": {"length": 2, "alpha": 0.25},
}


def first_step(rule: str, options: dict[str, Any], blocks: int) -> BlockStep:
    sizes: dict[str, Any] = {"num_blocks": blocks, "num_classes": 3, "input_shape": (1, 4, 4), "seed": 0}
    network = edgebll.make_network("mlp", **sizes, options={"width": 8, "depth": 3})
    return make_steps(network, make_rule(rule, **options), edgebll.SGD(), batch_size=6)[0]


def bits(step: BlockStep) -> dict[str, bytes]:
    """All that a step gives for the same batch."""
    torch.manual_seed(0)
    x, y = torch.rand(6, 1, 4, 4), torch.eye(3).repeat(2, 1)
    stepped = step(step.initial_state(), x, y, {"lr": torch.tensor(0.1)}, {})
    told = {**stepped.state, "a": stepped.a, "metrics": stepped.metrics}
    return {name: value.detach().numpy().tobytes() for name, value in told.items()}


def test_every_rule_that_cuts_a_network_is_asked() -> None:
    """Rules for one block and for spikes read their options in every block; Sim has none of its own."""
    inner = {name for name, rule in RULES.items() if rule.inner_only}
    assert inner == {*GIVEN, "sim"} == {name for name, rule in DENSE.items() if not rule.one_block}


@pytest.mark.parametrize("rule", GIVEN)
def test_one_block_reads_none_of_them(rule: str) -> None:
    given, plain = first_step(rule, GIVEN[rule], 1), first_step(rule, {}, 1)
    assert bits(given) == bits(plain)
    told = idle_options(make_rule(rule, **GIVEN[rule]), 1)
    names = told.partition("nothing reads ")[2].partition(f" of {rule};")[0]
    assert set(names.split(", ")) == GIVEN[rule].keys()


@pytest.mark.parametrize("rule", ["bll", "predsim", "dgl"])
def test_of_two_blocks_the_first_reads_them(rule: str) -> None:
    assert bits(first_step(rule, GIVEN[rule], 2)) != bits(first_step(rule, {}, 2))
    assert idle_options(make_rule(rule, **GIVEN[rule]), 2) == ""


def test_label_smoothing_and_defaults_are_read() -> None:
    assert idle_options(make_rule("bll", label_smoothing=0.1, match=1.0), 1) == ""
    assert idle_options(make_rule("decolle", lambda1=0.1), 1) == ""


def test_train_says_it(tmp_path: Path) -> None:
    words = "train --data digits --limit 32 --network mlp --network-option width=4 --batch-size 16 --epochs 1 --blocks 1"
    call = [*words.split(), "--rule-option", "match=2", "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 0
    assert "the network is one block, and learns from the task's loss alone: nothing reads match of bll" in result.stderr
