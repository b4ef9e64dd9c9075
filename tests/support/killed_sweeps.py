"""A sweep in a process of its own that is stopped in the middle, and whether its runs are those of an undisturbed one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

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


def start_sweep(folder: Path) -> subprocess.Popen[str]:
    """The sweep of RECIPE into folder/a, with stderr to read."""
    (folder / "mine.toml").write_text(RECIPE)
    return subprocess.Popen(
        [*COMMAND, "--out", "a"],
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def check_like_undisturbed(folder: Path) -> list[str]:
    """Finish what is left of folder/a, and hold its weights against those of fresh runs; returns what was said."""
    told: list[str] = []
    for cell in cells_of(read_recipe(str(folder / "mine.toml")), "full"):
        found = []
        for runs in (folder / "a" / "mine" / "full" / "runs", folder / "b"):
            assert run_cell(cell, runs, Clock(0.0), say=told.append) == DONE
            found.append(json.loads((runs / cell.folder / "summary.json").read_text())["state_sha256"])
        assert found[0] == found[1]
    return told


def trained_steps(folder: Path) -> list[list[int]]:
    """For each run of folder/a, the steps that its record has of the first block, in order."""
    records = sorted((folder / "a" / "mine" / "full" / "runs").glob("*/metrics.jsonl"))
    lines = [[json.loads(line) for line in record.read_text().splitlines()] for record in records]
    return [[line["step"] for line in own if line["kind"] == "train" and line["block"] == "block0"] for own in lines]
