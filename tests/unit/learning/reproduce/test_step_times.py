"""How long runs will take, from a few steps of each: against what whole runs took, and as `--list` tells it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.recipes import write_recipe
from typer.testing import CliRunner

import edgebll
from edgebll.cli.app import app
from edgebll.learning.reproduce.cell_times import MEASURED
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.step_times import measure_times, run_seconds
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


SLOW_SETTING = """[[settings]]
name = "slow"
blocks = [2]
train = { data = "digits", network = "resnet8", network_options = { width = 8 } }

[[settings]]"""
MEDIUM = """[medium]
words = "w"
train = { epochs = 1, batch_size = 32, lr = 0.02, limit = 160 }

[small]"""


@pytest.mark.slow
def test_a_medium_table_begins_with_the_quickest_and_knows_how_long_it_takes(tmp_path: Path) -> None:
    """Steps are timed once, before anything is begun, and the recipe's first setting is not the first that is trained."""
    sources = ("[sources]", '[sources]\nresnet8 = "ours"')
    recipe = str(write_recipe(tmp_path, ("[[settings]]", SLOW_SETTING), ("[small]", MEDIUM), sources))
    lines: list[str] = []
    for _ in range(2):
        edgebll.sweep(recipe, out=tmp_path / "out", scale="medium", seeds=1, jobs=1, progress=lines.append)
    assert lines[0] == "timing a few steps of every kind of run"
    assert lines.count(lines[0]) == 1
    assert [line.split(",")[1].strip() for line in lines if "begins of" in line] == ["digits MLP"] * 3 + ["slow"] * 2
    assert "1 of 5 runs are over, about 1 min left" in lines


def test_a_run_that_cannot_be_timed_is_passed_over(tmp_path: Path) -> None:
    recipe = read_recipe(str(write_recipe(tmp_path, ("limit = 320", "limit = 20"))))
    lines: list[str] = []
    measure_times(cells_of(recipe, "small", 1), tmp_path, None, lines.append)
    assert lines[1].startswith("BP, digits MLP, 1 block, seed 0: not timed: the batch size must lie in 1..20")
    assert json.loads((tmp_path / MEASURED).read_text())["cells"] == []


@pytest.mark.parametrize("arguments", [["costs"], ["tiny.toml", "--scale", "medium"], []])
def test_what_cannot_be_measured_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    write_recipe(tmp_path)
    result = CliRunner().invoke(app, ["reproduce", *arguments, "--measure", "--list"])
    assert result.exit_code != 0
    words = {"costs": "leave it out for costs and on a GPU", "tiny.toml": "must be full or small", "": "give a table"}
    assert words[arguments[0] if arguments else ""] in result.stderr
