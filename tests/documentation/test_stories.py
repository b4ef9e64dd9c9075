"""The tutorials that tell a whole story run as they stand, from the first file to what they promise at the end."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import open_bundle
from edgebll.kernel.runs.run_folder import open_run


def told(page: str, folder: Path) -> dict[str, str]:
    """Write the files of a tutorial, run its commands in this folder in order, and return what each printed."""
    document = Document(f"docs/tutorials/{page}.md")
    for name, text in re.findall(r'```python title="([^"]+)"\n(.*?)```', document.text, re.DOTALL):
        (folder / name).write_text(text, encoding="utf-8")
    return {" ".join(words): _output(words, folder) for words in document.commands()}


def _output(words: list[str], folder: Path) -> str:
    program, *arguments = words
    if program == "python":
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout
    assert program == "edgebll", words
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, (words, result.output)
    return result.output


def summary(run: Path) -> dict[str, Any]:
    """What summary.json says."""
    return dict(open_run(run)[1])


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


@pytest.mark.slow
def test_a_language_model_learns_on_four_boards_and_writes_from_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outputs = told("language-model", tmp_path)
    text = Path("book.txt").read_bytes()
    entropy = -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())
    boards = summary(Path("runs/boards"))
    assert len(boards["placement"]) == 4
    assert boards["metrics"]["bits_per_byte"] < entropy - 0.7
    assert [output.count("960.0") for words, output in outputs.items() if words.startswith("edgebll plan")] == [3]
    written = [output.splitlines() for words, output in outputs.items() if words.startswith("edgebll sample")]
    assert written[0][0].startswith("The ")
    assert written[0] == written[1] == written[2]


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
