"""Training processes stay from cell to cell, and what kills one is told of its cell alone."""

from __future__ import annotations

from pathlib import Path

import pytest

import edgebll

RECIPE = """
train = { epochs = 1, batch_size = 32, limit = 320, lr = 0.02 }
[[settings]]
name = "digits MLP"
blocks = [2]
train = { data = "digits", network = "mlp", network_options = { width = 8 } }
[[settings]]
name = "own"
blocks = [2]
train = { data = "digits", network = "own.py:blocks" }
[[rules]]
name = "BLL"
rule = "bll"
[[rules]]
name = "Greedy"
rule = "greedy"
"""
#: Dies in its first training step while there is a file "die".
OWN = """
import os, signal
from torch import nn


class Fragile(nn.Linear):
    def forward(self, x):
        if self.training and os.path.exists("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().forward(x)


def blocks():
    print("printed by a user's own code")
    return [nn.Sequential(nn.Flatten(), Fragile(64, 16), nn.ReLU()), nn.Linear(16, 10)]
"""


@pytest.mark.slow
def test_a_killed_process_costs_its_cell_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What such a cell prints is no answer of its process; another call does it after all."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(OWN)
    Path("mine.toml").write_text(RECIPE)
    Path("die").touch()
    first = edgebll.sweep("mine.toml", jobs=2)
    assert set(first.errors) == {"BLL, own, 2 blocks, seed 0", "Greedy, own, 2 blocks, seed 0"}
    assert {str(error) for error in first.errors.values()} == {
        "its process was killed by signal 9, perhaps for want of memory; give the same command again to go on"
    }
    assert (first.document["done"], first.left) == (2, 2)
    Path("die").unlink()
    second = edgebll.sweep("mine.toml", jobs=1)
    assert (second.document["done"], second.left, second.errors) == (4, 0, {})
