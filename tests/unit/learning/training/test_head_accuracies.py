"""What each block knows: its auxiliary network judged on the test samples, against a loop of plain PyTorch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgebll.data import load_dataset
from edgebll.learning.training import TrainConfig, resume, train
from edgebll.learning.training.checkpoint import load_checkpoint
from edgebll.learning.training.config import RunRecord
from edgebll.learning.training.trained_model import build_model

SMALL: dict[str, Any] = {"data": "digits", "network": "mlp", "network_options": {"width": 16, "depth": 3}, "blocks": 3}
SMALL |= {"epochs": 2, "batch_size": 32, "limit": 320, "lr": 0.05}


def trained(folder: Path, **options: Any) -> dict[str, Any]:
    return train(TrainConfig(**{**SMALL, **options}), folder / "run")


def test_heads_are_judged_as_a_plain_loop_does(tmp_path: Path) -> None:
    """Linear classifiers of BLL on the outputs of the first two blocks, weights taken from the run's last checkpoint."""
    heads = trained(tmp_path)["heads"]
    assert list(heads) == ["block0", "block1"]
    test = load_dataset("digits", "test")
    a, labels = torch.from_numpy(test.inputs(np.arange(len(test)))), torch.as_tensor(test.labels)
    model = build_model(RunRecord(TrainConfig(**SMALL).completed(), 10, test.input_shape))
    checkpoint = load_checkpoint(tmp_path / "run", [step.spec for step in model.steps])
    assert checkpoint is not None
    for step in model.steps[:2]:
        state = checkpoint.states[step.name]
        module = model.network.blocks[int(step.name[-1])].eval()
        module.load_state_dict({name[4:]: value for name, value in state.items() if name.startswith("net.")})
        a = module(a)
        scores = F.linear(a, state["head.weight"], state["head.bias"])
        accuracy = (scores.argmax(1) == labels).double().mean().item()
        assert heads[step.name]["accuracy"] == pytest.approx(accuracy)
        assert heads[step.name]["loss"] == pytest.approx(F.cross_entropy(scores, labels).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("rule", "options", "count"),
    [
        ("greedy", {}, 2),
        ("predsim", {}, 2),
        ("sim", {}, 0),
        ("bll", {"predict": 0.0}, 0),
        ("bll", {"head": "bayes", "match": 0.0}, 2),
        ("bll", {"head": "bayes", "match_on": "standardised"}, 2),
        ("bll", {"reconstruct": 1.0}, 2),
        ("bll", {"reconstruct": 1.0, "head": "bayes"}, 2),
        ("dgl", {}, 2),
        ("backlink", {"length": 1, "alpha": 0.5}, 2),
        ("backprop", {}, 0),
    ],
)
def test_rules_with_a_classifier_tell_what_it_knows(tmp_path: Path, rule: str, options: dict[str, Any], count: int) -> None:
    heads = trained(tmp_path, rule=rule, rule_options=options, blocks=1 if rule == "backprop" else 3, epochs=1)["heads"]
    assert len(heads) == count
    assert all(0.0 <= own["accuracy"] <= 1.0 for own in heads.values())


def test_bayes_rule_is_judged_as_a_plain_formula_says(tmp_path: Path) -> None:
    """log N(a; T_c, sigma^2) for every class, with targets from the run's last checkpoint."""
    heads = trained(tmp_path, rule_options={"head": "bayes", "sigma": 0.7})["heads"]
    config = TrainConfig(**SMALL, rule_options={"head": "bayes", "sigma": 0.7}).completed()
    test = load_dataset("digits", "test")
    model = build_model(RunRecord(config, 10, test.input_shape))
    checkpoint = load_checkpoint(tmp_path / "run", [step.spec for step in model.steps])
    assert checkpoint is not None
    state, module = checkpoint.states["block0"], model.network.blocks[0].eval()
    module.load_state_dict({name[4:]: value for name, value in state.items() if name.startswith("net.")})
    a, labels = module(torch.from_numpy(test.inputs(np.arange(len(test))))), torch.as_tensor(test.labels)
    distances = (a.unsqueeze(1) - state["feedback.weight"].t().unsqueeze(0)).square().sum(2)
    accuracy = (distances.argmin(1) == labels).double().mean().item()
    assert heads["block0"]["accuracy"] == pytest.approx(accuracy)
    assert heads["block0"]["loss"] == pytest.approx(F.cross_entropy(-distances / (2 * 0.49), labels).item(), rel=1e-4)


def test_a_run_that_was_killed_before_its_summary_tells_the_same(tmp_path: Path) -> None:
    expected = trained(tmp_path)
    (tmp_path / "run" / "summary.json").unlink()
    again = resume(tmp_path / "run")
    assert again["heads"] == expected["heads"] == json.loads((tmp_path / "run" / "summary.json").read_text())["heads"]


def test_every_position_of_a_sequence_counts(tmp_path: Path) -> None:
    options = {"data": "reverse", "network": "transformer", "network_options": {"depth": 2, "dim": 8, "hidden": 8}, "blocks": 2}
    found = trained(tmp_path, **options, epochs=1, lr=0.001)
    assert 0.0 < found["heads"]["block0"]["accuracy"] < 0.5
