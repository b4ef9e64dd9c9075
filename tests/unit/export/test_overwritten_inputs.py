"""Blocks that write into their input, as those that begin with an in-place activation do: nobody else's tensor is changed."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgebll.kernel.bundle import open_bundle
from edgebll.learning import SGD, make_rule, make_steps
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, verify_bundle


def network() -> BlockNetwork:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = nn.Sequential(nn.Hardtanh(-0.5, 0.5, inplace=True), nn.Linear(4, 6))
        last = nn.Sequential(nn.ReLU(inplace=True), nn.Linear(6, 3))
    return BlockNetwork([first, last], 3, (4,))


@pytest.mark.parametrize("rule", ["greedy", "backlink"])
def test_input_and_output_of_a_step_stay(rule: str) -> None:
    steps = make_steps(network(), make_rule(rule), SGD(), 5)
    x, y = torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), torch.eye(3)[[0, 1, 2, 0, 1]]
    for _ in range(4):  # more than are watched
        given, kept = x, []
        for step in steps:
            received = {spec.name: torch.zeros(spec.shape) for spec in step.spec.received}
            before = given.clone()
            stepped = step(step.initial_state(), given, y, {"lr": torch.tensor(0.1)}, received)
            assert torch.equal(given, before)
            kept.append((stepped.a, stepped.a.clone()))
            given = stepped.a
            assert torch.equal(step.forward(step.initial_state(), x if step is steps[0] else kept[0][0]), stepped.a)
        assert all(torch.equal(a, then) for a, then in kept)


def test_golden_vectors_are_those_of_plain_pytorch(tmp_path: Path) -> None:
    made = network()
    export_bundle(made, rule=make_rule("greedy"), optimizer=SGD(), batch_size=5, path=tmp_path / "bundle")
    bundle = open_bundle(tmp_path / "bundle")
    first: dict[str, Any]
    first, last = (bundle.golden(block) for block in ("block0", "block1"))
    with torch.no_grad():
        expected = copy.deepcopy(made.blocks[0])(torch.from_numpy(first["0/x"].copy()))
    torch.testing.assert_close(torch.from_numpy(first["0/a"].copy()), expected, rtol=1e-6, atol=0.0)
    assert (first["0/a"] < 0).any()
    assert np.array_equal(first["0/a"], last["0/x"])
    with torch.no_grad():
        scores = copy.deepcopy(made.blocks[1])(expected.clone())
    loss = F.cross_entropy(scores, torch.from_numpy(last["0/y"]))
    assert float(last["0/metrics"][0]) == pytest.approx(loss.item(), rel=1e-5)
    assert not any(row.failed for row in verify_bundle(tmp_path / "bundle", network=made))
