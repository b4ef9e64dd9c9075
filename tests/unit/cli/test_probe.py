"""`edgebll probe`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

import edgebll
from edgebll.cli.app import app
from edgebll.data import load_dataset


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("probe") / "run"
    edgebll.train(path, data="digits", network="mlp", network_option={"width": 24}, blocks=3, epochs=2, limit=640)
    return path


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["probe", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result


def test_table_json_and_picture(run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "probe.png"
    shown = call(run, "--samples", "300", "--picture", picture)
    words = [line.split() for line in shown.stdout.splitlines()]
    found = json.loads(call(run, "--samples", "300", "--json").stdout)
    assert [row["block"] for row in found["blocks"]] == ["block0", "block1", "block2"]
    for row in found["blocks"]:
        line = [row["block"], str(row["features"]), f"{100 * row['probe_accuracy']:.2f}", f"{row['information']:.3f}"]
        assert [*line, f"{row['effective_rank']:.1f}", f"{row['fisher_ratio']:.3f}"] in words
        assert 0.5 < row["probe_accuracy"] <= 1
        assert 1.0 < row["information"] <= found["label_bits"] <= np.log2(10)
        assert 1 < row["effective_rank"] <= row["features"]
    assert (found["train_count"], found["test_count"]) == (300, 300)
    assert "300 test samples of digits, whose labels have 3." in shown.stdout
    assert "edgebll: measuring block2" in shown.stderr
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_the_last_blocks_features_are_the_class_scores(run: Path) -> None:
    """Their scatter, from the weights as PyTorch loads them."""
    network = edgebll.make_network("mlp", num_blocks=3, num_classes=10, input_shape=(1, 8, 8), seed=9, options={"width": 24})
    network.load_state_dict(edgebll.state_dict(run), strict=True)
    test = load_dataset("digits", "test")
    labels = np.asarray(test.labels)
    with torch.no_grad():
        scores = network.eval()(torch.from_numpy(test.inputs(np.arange(len(test))))).numpy().astype(float)
    means = np.stack([scores[labels == c].mean(0) for c in range(10)])
    inside = np.square(scores - means[labels]).sum()
    between = np.square(means[labels] - scores.mean(0)).sum()
    found = json.loads(call(run, "--json").stdout)
    assert found["blocks"][2]["fisher_ratio"] == pytest.approx(between / inside, rel=1e-4)
    assert found["test_count"] == len(test)


@pytest.mark.slow
def test_a_bundle_gives_what_its_run_gives(run: Path, tmp_path: Path) -> None:
    bundle = edgebll.export(run, tmp_path / "bundle")
    ours, theirs = (json.loads(call(path, "--samples", "200", "--json").stdout) for path in (bundle.path, run))
    assert ours["blocks"] == theirs["blocks"]


def test_what_cannot_be_probed_is_refused(run: Path, tmp_path: Path) -> None:
    assert "is neither a run nor a bundle" in call(tmp_path, code=3).stderr
    assert "--samples must be at least 1" in call(run, "--samples", "0", code=2).stderr
    assert "the network takes samples of shape (1, 8, 8)" in call(run, "--data", "reverse", code=4).stderr
    path = tmp_path / "regression"
    edgebll.train(path, data="digits", network="mlp", task="reconstruction", blocks=2, epochs=1, limit=64)
    assert "give each sample or position one class, and this one is for reconstruction" in call(path, code=2).stderr
