"""Own masks with pixels without a label, from training to boards; the judge is numpy on the merged model's scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from support.command_calls import call
from support.map_network import register_map_network

import edgebll
from edgebll.kernel.errors import DataError

TASK: dict[str, Any] = {"task": "segmentation", "task_option": {"ignore_index": 255}}
SMALL: dict[str, Any] = {"network": "maps", "blocks": 2, "epochs": 1, "batch_size": 8, "lr": 0.05, "threads": 1}


@pytest.fixture
def arrays(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Bright and dark halves, a third of all pixels without a label, and a network for maps."""
    register_map_network(monkeypatch)
    rng = np.random.default_rng(0)
    y = np.repeat(rng.integers(0, 3, (48, 8, 2)).astype(np.uint8), 4, axis=2)
    x = (y[:, None] + rng.normal(0, 0.5, (48, 1, 8, 8))).astype(np.float32)
    y[rng.random(y.shape) < 1 / 3] = 255
    return {"x_train": x[:32], "y_train": y[:32], "x_test": x[32:], "y_test": y[32:]}


def judged(model: Path, arrays: dict[str, Any]) -> float:
    """Part of the labelled pixels that are right."""
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    (name,) = (tensor.name for tensor in session.get_inputs())
    scores = session.run(None, {name: arrays["x_test"]})[0].reshape(16, 3, 8, 8)
    labelled = arrays["y_test"] != 255
    return float((scores.argmax(1) == arrays["y_test"])[labelled].mean())


def test_masks_with_gaps_from_training_to_boards(arrays: dict[str, Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "masks.npz", **arrays)
    trained = edgebll.train(tmp_path / "trained", data=tmp_path / "masks.npz", **SMALL, **TASK)
    right = judged(edgebll.merge(trained, tmp_path / "trained.onnx").path, arrays)
    assert trained.metrics["pixel_accuracy"] == pytest.approx(right, abs=2e-3)
    assert edgebll.evaluate(trained).metrics == pytest.approx(trained.metrics, rel=1e-9)

    bundle = edgebll.export(trained, tmp_path / "bundle", state="initial")
    boards = edgebll.simulate(bundle, tmp_path / "boards", boards=2, epochs=1)
    right = judged(edgebll.merge(boards, tmp_path / "boards.onnx").path, arrays)
    assert boards.metrics["pixel_accuracy"] == pytest.approx(right, abs=2e-3)
    assert edgebll.evaluate(boards).metrics == pytest.approx(boards.metrics, rel=1e-9)
    other = {"x": arrays["x_test"], "y": arrays["y_test"]}
    found = edgebll.evaluate(boards, data=other, data_option={"test": 1})
    assert found.metrics == pytest.approx(boards.metrics, rel=1e-6), "samples as they are"


def test_masks_of_a_program_and_of_the_command_line(arrays: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the dict given as data: .* is 255; if it stands for no label, add --task-option"):
        edgebll.train(tmp_path / "refused", data=arrays, **SMALL)
    assert not list(tmp_path.iterdir())
    given = edgebll.train(tmp_path / "given", data=arrays, **SMALL, **TASK)

    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)
    options = [part for name, value in SMALL.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    task = ["--task", "segmentation", "--task-option", "ignore_index=255"]
    call("train", "--data", tmp_path, *options, *task, "--out", tmp_path / "typed")
    found = json.loads(call("eval", tmp_path / "typed", "--json").stdout)
    assert found["metrics"] == pytest.approx(given.metrics, rel=1e-9)


def test_many_classes_are_cut_on_the_terminal_alone(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, x=np.ones((4000, 2), np.float32), y=np.char.add("class", (np.arange(4000) % 2000).astype(str)))
    lines = call("data", "check", path).stdout.splitlines()
    assert sum(re.match(r"\W*class\d+\s", line) is not None for line in lines) == 20
    assert "and 1980 more classes; --json has all" in lines
    (listed,) = (line for line in lines if line.startswith("classes="))
    assert listed.count(",") == 19
    assert listed.endswith(" and 1980 more")
    found = json.loads(call("data", "check", path, "--json").stdout)
    assert len(found["classes"]) == len(found["options"]["classes"]) == 2000
