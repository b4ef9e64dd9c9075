"""Every task trains, is exported and verified, runs over boards to the same bits, is judged by its figures, and recovers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.map_network import register_map_network
from support.slow import slow_after

import edgebll
from edgebll.data import reverse, shapes
from edgebll.kernel.tasks import TASKS

#: Task -> the data set and options that a small run of it takes.
CASES: dict[str, dict[str, Any]] = {
    "classification": {"data": "digits", "task_option": {"class_weights": [1.0] * 9 + [2.0], "label_smoothing": 0.1}},
    "sequences": {"data": "reverse", "network": "transformer", "network_option": {"dim": 8, "hidden": 8, "depth": 2}},
    "multilabel": {"data": "digits", "task": "multilabel"},
    "regression": {"data": "digits", "task": "regression", "task_option": {"loss_kind": "huber"}},
    "reconstruction": {"data": "digits", "task": "reconstruction"},
    "next-byte": {
        "data": f"bytes:{Path(__file__).parents[2] / 'LICENSE'}",
        "data_option": {"context": 8},
        "network": "byte-transformer",
        "network_option": {"dim": 8, "heads": 2, "hidden": 8, "depth": 2},
    },
    "segmentation": {"data": "shapes", "network": "maps", "network_option": {}, "task_option": {"ignore_index": 3}},
}
STEPS = 6


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network for maps, and fewer samples to evaluate on."""
    register_map_network(monkeypatch)
    for module in (reverse, shapes):
        monkeypatch.setitem(module._COUNTS, "test", 64)


def test_there_is_a_case_for_every_task() -> None:
    assert CASES.keys() == {*TASKS, "sequences"}


@pytest.mark.parametrize(
    "case", slow_after(2, sorted(CASES, key=("multilabel", "regression", "classification", "next-byte").__contains__))
)
def test_a_task_from_training_to_recovery(case: str, tmp_path: Path) -> None:
    options = {"network": "mlp", "network_option": {"width": 12, "depth": 2}, "lr": 0.05, "threads": 1, **CASES[case]}
    if "task_option" in options:
        options.setdefault("task", case)
    trained = edgebll.train(tmp_path / "trained", blocks=2, epochs=2, limit=16 * STEPS, batch_size=16, **options)
    task = edgebll.make_task(trained.summary["task"])
    assert list(trained.metrics) == [*task.metrics, "loss"]
    lines = [json.loads(line) for line in (trained.path / "metrics.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if line["kind"] == "eval"]
    assert losses[1] < losses[0], "it learns"
    assert edgebll.evaluate(trained).metrics == pytest.approx(trained.metrics, rel=1e-9)

    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    edgebll.verify(bundle, steps=1).check()
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0, epochs=2, limit=16 * STEPS, snapshot_every=5)
    assert alone.metrics == pytest.approx(trained.metrics, rel=1e-3, abs=2e-3), "graphs and PyTorch learn alike"
    boards = edgebll.simulate(bundle, tmp_path / "boards", boards=2, epochs=2, limit=16 * STEPS)
    assert (boards.state_sha256, boards.metrics) == (alone.state_sha256, alone.metrics)
    assert edgebll.evaluate(boards).metrics == pytest.approx(boards.metrics, rel=1e-9)

    merged = edgebll.merge(boards, tmp_path / "merged.onnx")
    assert (merged.output, merged.same_class is None) == (("logits", False) if task.classes else ("output", True))
    recovered = edgebll.simulate(resume=_cut_off(alone.path))
    assert (recovered.state_sha256, recovered.metrics) == (alone.state_sha256, alone.metrics)


def _cut_off(run: Path) -> Path:
    """A run as it was after its first snapshot."""
    (run / "summary.json").unlink()
    shutil.rmtree(run / "bundle")
    shutil.rmtree(run / "snapshots" / "step000000010")
    assert [path.name for path in (run / "snapshots").iterdir()] == ["step000000005"]
    return run


def test_a_batch_that_is_not_full_is_trained_on_over_boards_too(tmp_path: Path) -> None:
    options: dict[str, Any] = {"network": "mlp", "network_option": {"width": 12, "depth": 2}, "lr": 0.05, "threads": 1}
    options |= {"last_batch": "mask", "sampling": "balanced", "limit": 40}
    trained = edgebll.train(tmp_path / "trained", blocks=2, epochs=2, batch_size=16, checkpoint_steps=2, **options)
    assert (trained.summary["steps"], trained.summary["samples"]) == (6, 80)
    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    assert bundle.manifest.blocks[0].scalars == ("lr", "count")
    edgebll.verify(bundle, steps=2).check()
    run: dict[str, Any] = {"epochs": 2, "limit": 40}
    alone = edgebll.simulate(bundle, tmp_path / "alone", boards=0, snapshot_every=4, **run)
    assert alone.summary["steps"] == 6
    assert alone.metrics == pytest.approx(trained.metrics, rel=1e-3, abs=2e-3), "graphs and PyTorch see the same batches"
    assert edgebll.simulate(bundle, tmp_path / "boards", boards=2, **run).state_sha256 == alone.state_sha256
    uniform = edgebll.simulate(bundle, tmp_path / "uniform", boards=0, sampling="uniform", **run)
    assert uniform.state_sha256 != alone.state_sha256
    (alone.path / "summary.json").unlink()
    shutil.rmtree(alone.path / "bundle")
    assert edgebll.simulate(resume=alone.path).state_sha256 == alone.state_sha256, "from the middle of an epoch's end"


@pytest.mark.slow
def test_one_sample_a_batch(tmp_path: Path) -> None:
    """Without batch norm, which has nothing to take statistics of."""
    (tmp_path / "plain.py").write_text(
        "from torch import nn\n"
        "def net(num_classes):\n"
        "    first = nn.Sequential(nn.Flatten(), nn.Linear(64, 8), nn.ReLU())\n"
        "    return [first, nn.Linear(8, num_classes)]\n"
    )
    options: dict[str, Any] = {"network": f"{tmp_path}/plain.py:net", "batch_size": 1, "limit": 8, "epochs": 1, "lr": 0.05}
    for task in ("classification", "regression", "multilabel"):
        folder = tmp_path / task
        trained = edgebll.train(folder / "trained", task=task, threads=1, **options)
        bundle = edgebll.export(trained, folder / "bundle", state="initial")
        edgebll.verify(bundle, steps=1).check()
        alone = edgebll.simulate(bundle, folder / "alone", boards=0, limit=8)
        assert alone.metrics == pytest.approx(trained.metrics, rel=1e-3, abs=3e-3)
