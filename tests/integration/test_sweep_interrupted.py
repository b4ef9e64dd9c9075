"""Ctrl-C on a sweep ends all its processes in order, and its runs go on to the weights of undisturbed ones."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.one_run import DONE, Clock, run_cell
from edgebll.learning.reproduce.recipe_file import read_recipe

RECIPE = """
seeds = 2
train = { epochs = 20, batch_size = 32, limit = 640, lr = 0.02, checkpoint_steps = 5 }
[[settings]]
name = "digits MLP"
blocks = [2]
train = { data = "digits", network = "mlp", network_options = { width = 16 } }
[[rules]]
name = "BLL"
rule = "bll"
"""
COMMAND = (sys.executable, "-c", "from edgebll.cli import main; main()", "sweep", "mine.toml", "-j", "2")


@pytest.mark.slow
def test_ctrl_c_ends_in_order_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.toml").write_text(RECIPE)
    with subprocess.Popen(
        [*COMMAND, "--out", "a"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line)
            if "epoch 2," in line:
                os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the command and all its processes
                break
        rest = process.stderr.read()  # its end: no process of the sweep is left that could write there
    assert process.returncode == 130, rest
    assert rest.splitlines()[-1] == "edgebll: interrupted"
    assert "Traceback" not in "".join(lines) + rest
    assert (tmp_path / "a" / "RESULTS.md").exists()
    recipe = read_recipe("mine.toml")
    interrupted, fresh = tmp_path / "a" / "mine" / "full" / "runs", tmp_path / "b"
    told: list[str] = []
    for cell in cells_of(recipe, "full"):
        for runs in (interrupted, fresh):
            assert run_cell(cell, runs, Clock(0.0), say=told.append) == DONE
        there = [json.loads((runs / cell.folder / "summary.json").read_text()) for runs in (interrupted, fresh)]
        assert there[0]["state_sha256"] == there[1]["state_sha256"]
    assert any("goes on at step" in line for line in told)
