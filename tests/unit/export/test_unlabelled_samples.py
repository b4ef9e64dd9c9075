"""Exported steps and samples without a label: they are among the examples, and no graph learns from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from support.slow import slow_after
from torch import nn

from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.tasks import Classification, ClassTask, Segmentation
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import BlockNetwork
from edgebll_export import export_bundle, verify_bundle

BATCH = 6
MISSING = [1, 4]
RULES: dict[str, tuple[str, dict[str, Any]]] = {
    "bll": ("bll", {"decorrelate": 0.5}),
    "predsim": ("predsim", {}),
    "bll, chained": ("bll", {"feedback": "chain"}),
    "pred": ("pred", {}),
}


def network(task: ClassTask) -> BlockNetwork:
    torch.manual_seed(0)
    ends: list[nn.Module] = [nn.Upsample(scale_factor=2), nn.Conv2d(4, 3, 1)]
    if isinstance(task, Classification):
        ends = [nn.Flatten(), nn.Linear(16, 3)]
    first = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.Tanh())
    return BlockNetwork([first, nn.Sequential(*ends)], None, (1, 4, 4), task=task)


def next_state(bundle: Path, x: np.ndarray[Any, Any], y: np.ndarray[Any, Any]) -> dict[str, Any]:
    """What the first block's graph makes of its state, and its metrics."""
    session = onnxruntime.InferenceSession(str(bundle / "block0" / "step.onnx"))
    given = {**open_bundle(bundle).state("block0"), "x": x, "y": y, "lr": np.array(0.1, np.float32)}
    outputs = [value.name for value in session.get_outputs() if value.name.endswith(".next") or value.name == "metrics"]
    names = {value.name for value in session.get_inputs()}
    return dict(zip(outputs, session.run(outputs, {n: v for n, v in given.items() if n in names}), strict=True))


@pytest.mark.parametrize("variant", slow_after(2, list(RULES)))
def test_no_graph_learns_from_samples_without_a_label(variant: str, tmp_path: Path) -> None:
    """Another image in their place changes nothing; one in the place of a sample with a label does."""
    name, options = RULES[variant]
    made = network(Classification(ignore_index=9))
    export_bundle(made, rule=make_rule(name, **options), optimizer=SGD(lr=0.1), batch_size=BATCH, path=tmp_path / "bundle")
    assert not any(row.failed for row in verify_bundle(tmp_path / "bundle", network=made))
    random = np.random.default_rng(0)
    x = random.standard_normal((BATCH, 1, 4, 4), np.float32)
    y = np.eye(3, dtype=np.float32)[np.arange(BATCH) % 3]
    y[MISSING] = 0.0
    first = next_state(tmp_path / "bundle", x, y)
    x[MISSING] = random.standard_normal((2, 1, 4, 4), np.float32)
    for tensor, value in next_state(tmp_path / "bundle", x, y).items():
        np.testing.assert_allclose(value, first[tensor], rtol=1e-5, atol=1e-7, err_msg=tensor)
    x[0] += 1.0
    third = next_state(tmp_path / "bundle", x, y)
    assert any(np.abs(value - first[tensor]).max() > 1e-4 for tensor, value in third.items())


@pytest.mark.parametrize("task", [Classification(ignore_index=9), Segmentation(ignore_index=255)])
def test_golden_vectors_have_labels_that_are_missing(task: ClassTask, tmp_path: Path) -> None:
    made = network(task)
    export_bundle(made, rule=make_rule("greedy"), optimizer=SGD(lr=0.1), batch_size=BATCH, path=tmp_path / "bundle")
    golden = open_bundle(tmp_path / "bundle").golden("block0")
    shares = np.stack([golden[f"{step}/y"].sum(task.class_axis) for step in range(3)])
    assert set(np.unique(shares)) == {0.0, 1.0}
    assert shares[:, 0].all(), "so that every step has something to learn"
    assert not any(row.failed for row in verify_bundle(tmp_path / "bundle", network=made))
