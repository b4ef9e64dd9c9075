"""The tutorials that tell a whole story run as they stand, from the first file to what they promise at the end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from support.stories import summary, told

from edgebll.kernel.bundle import open_bundle


def test_a_folder_of_photos_becomes_one_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("own-images", tmp_path)
    check = outputs["edgebll data check parts --picture parts.png"]
    assert "152 training and 38 test samples" in check
    assert "ring/broken.png" in check
    frozen = [block.name for block in open_bundle("bundles/parts").manifest.blocks if not block.state]
    assert frozen == ["block0", "block1"]
    assert summary(Path("runs/parts"))["accuracy"] >= 0.9
    named = re.findall(r"parts/(\w+)/\d+.png is a (\w+)", outputs["python look.py"])
    assert len(named) == 3
    assert all(shown == said for shown, said in named)
    (scores,) = onnxruntime.InferenceSession("parts.onnx").run(None, {"x": np.zeros((7, 3, 32, 32), np.float32)})
    assert scores.shape == (7, 3)
    assert json.loads(Path("runs/parts/run.json").read_text())["data_options"]["classes"] == ["frame", "ring", "roof"]


def test_an_autoencoder_learns_from_a_live_source_and_finds_what_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("anomalies", tmp_path)
    before, after = (re.findall(r"\d+", outputs[f"python look.py {name}.onnx"]) for name in ("before", "after"))
    assert int(before[0]) < 70
    assert int(after[0]) >= 95
    assert int(after[2]) <= 5
    live = json.loads(Path("runs/live/run.json").read_text())["data_options"]
    assert live["mean"] == json.loads(Path("runs/motor/run.json").read_text())["data_options"]["mean"]


def test_a_unet_in_three_blocks_segments_and_has_the_same_bits_on_three_boards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("segmentation", tmp_path)
    assert open_bundle("bundles/unet").manifest.task["name"] == "segmentation"
    boards, alone = summary(Path("runs/boards")), summary(Path("runs/alone"))
    assert boards["state_sha256"] == alone["state_sha256"]
    assert len(boards["placement"]) == 3
    assert boards["metrics"]["mean_iou"] >= 0.75
    lines = [line.split("   ") for line in outputs["python look.py"].splitlines()]
    assert len(lines) == 24
    right = sum(a == b for true, found in lines for a, b in zip(true, found, strict=True))
    assert right >= 0.85 * 24 * 24


def test_a_network_is_fine_tuned_on_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("fine-tune", tmp_path)
    assert "new 100 to learn from, 188 to test" in outputs["python halves.py"]
    state = {
        name: [block.state_bytes for block in open_bundle(f"bundles/{name}").manifest.blocks]
        for name in ("all", "later", "head", "lora")
    }
    assert state["later"] == [0, 0, *state["all"][2:]]
    assert state["head"][:3] == [0, 0, 0]
    assert sum(state["lora"]) < 0.15 * sum(state["all"])
    assert summary(Path("runs/lora"))["accuracy"] > summary(Path("runs/head"))["accuracy"] > 0.5
    (scores,) = onnxruntime.InferenceSession("digits.onnx").run(None, {"x": np.zeros((3, 1, 8, 8), np.float32)})
    assert scores.shape == (3, 5)
