"""How long runs will take, from a few steps of each: against what whole runs took, and as `--list` tells it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.recipes import write_recipe
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.learning.reproduce.cell_times import MEASURED
from edgebll.learning.reproduce.step_times import run_seconds
from edgebll.learning.training import TrainConfig, train

LONGER = (
    "train = { epochs = 2, batch_size = 32, lr = 0.02, limit = 320, checkpoint_steps = 4 }",
    "train = { epochs = 40, batch_size = 32, lr = 0.02 }",
)


def test_the_estimate_is_what_a_run_takes(tmp_path: Path) -> None:
    """Within a factor of three of what this process computes in a whole one, whatever else the machine does."""
    config = TrainConfig(data="digits", network="resnet8", blocks=3, epochs=3, batch_size=32, checkpoint_steps=1000)
    before = time.process_time()
    train(config, tmp_path / "whole")
    computed = time.process_time() - before
    assert computed / 3 < run_seconds(config) < computed * 3


def test_a_run_shorter_than_what_is_timed_is_run(tmp_path: Path) -> None:
    seconds = run_seconds(TrainConfig(data="digits", network="mlp", blocks=2, epochs=1, batch_size=32, limit=64))
    assert 0.0 < seconds < 60.0


def test_minutes_are_listed_where_they_were_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path, LONGER)
    command = ["reproduce", "tiny.toml", "--seeds", "2", "-j", "2"]
    before = CliRunner().invoke(app, [*command, "--list"])
    assert before.exit_code == 0
    assert "left" not in before.stderr
    measured = CliRunner().invoke(app, [*command, "--measure"])
    assert measured.exit_code == 0, measured.output
    document = json.loads((tmp_path / "reproduce" / "tiny" / "small" / MEASURED).read_text())
    assert [(entry["rule"], entry["blocks"]) for entry in document["cells"]] == [("BP", 1), ("Local", 2), ("Local", 3)]
    assert document["machine"]
    assert "edgebll: about 1 min for what is left, 2 at once" in measured.stderr
    listed = json.loads(CliRunner().invoke(app, [*command, "--list", "--json"]).stdout)
    assert [entry["expected_seconds"] for entry in listed] == 2 * [entry["seconds"] for entry in document["cells"]]
    assert not (tmp_path / "reproduce" / "tiny" / "small" / "runs").exists()


@pytest.mark.parametrize("arguments", [["costs"], ["tiny.toml", "--scale", "medium"], []])
def test_what_cannot_be_measured_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path)
    result = CliRunner().invoke(app, ["reproduce", *arguments, "--measure", "--list"])
    assert result.exit_code != 0
    words = {"costs": "leave it out for costs and on a GPU", "tiny.toml": "must be full or small", "": "give a table"}
    assert words[arguments[0] if arguments else ""] in result.stderr
