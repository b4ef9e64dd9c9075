"""Measuring the memory and time of training steps: real processes, a small network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from support.recipes import write_recipe

from edgebll.kernel.errors import EdgebllError
from edgebll.learning.reproduce import cost
from edgebll.learning.reproduce.cells import Cell, cells_of, placed
from edgebll.learning.reproduce.cost import measure_cell, measured_outcome
from edgebll.learning.reproduce.recipe_file import read_recipe

BATCH = 256


def cell(folder: Path, batch: int = BATCH) -> Cell:
    """An MLP in two blocks, the second with most of the weights."""
    changes = ('baseline = "BP"', 'baseline = "BP"\nkind = "cost"'), ("batch_size = 32", f"batch_size = {batch}")
    wide = ("width = 16, depth = 3", "width = 1024, depth = 2")
    (found,) = cells_of(read_recipe(str(write_recipe(folder, *changes, wide, ("[2, 3]", "[2]"), ("8.5", "")))), "small")[1:]
    return found


@pytest.mark.slow
def test_a_cell_is_measured_once_on_both_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest block holds at least its weights and momenta, and its activations; no block takes ten times that."""
    assert measured_outcome(cell(tmp_path), tmp_path)["state"] == "open"
    assert measure_cell(cell(tmp_path), tmp_path, lambda _: None) == "done"
    found = measured_outcome(cell(tmp_path), tmp_path)
    state = 2 * 1024 * 1024 * 4
    for runtime in ("torch", "onnxruntime"):
        costs = found[runtime]
        assert state < costs["peak_bytes"] < 10 * state
        assert 0 < costs["slowest_seconds"] < costs["all_seconds"] < 2 * costs["slowest_seconds"]
    monkeypatch.setattr(subprocess, "run", pytest.fail)
    assert measure_cell(cell(tmp_path), tmp_path, pytest.fail) == "done"


def test_what_another_recipe_measured_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def worker(contender: str, folder: str) -> dict[str, object]:
        asked.append(contender)
        return {"peak_bytes": [1], "seconds": [1.0], "cuda": False}

    monkeypatch.setattr(cost, "_worker", worker)
    for batch in (2, 2, 3):
        measure_cell(cell(tmp_path, batch), tmp_path, lambda _: None)
    assert asked == ["torch", "export", "onnxruntime"] * 2


def test_where_trainings_are_computed_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do figures that were measured before there was a choice; those of a GPU name it."""
    found = {"peak_bytes": [1], "seconds": [1.0], "cuda": True}
    monkeypatch.setattr(cost, "_worker", lambda *_: dict(found))
    monkeypatch.setattr(cost, "describe_gpu", lambda: "NVIDIA H200")
    measured, path = cell(tmp_path, 2), tmp_path / f"{cell(tmp_path, 2).folder}.json"
    measure_cell(measured, tmp_path, lambda _: None)
    assert "GPU NVIDIA H200, " in measured_outcome(measured, tmp_path)["machine"]
    document = json.loads(path.read_text())
    del document["config"]["device"], document["config"]["evaluate_epochs"]
    path.write_text(json.dumps(document))
    other = placed(measured, {"threads": 7, "device": "cuda", "compile": True, "channels_last": True})
    assert measured_outcome(other, tmp_path)["cuda"] == {"peak_bytes": 1, "slowest_seconds": 1.0, "all_seconds": 1.0}


def test_a_process_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        EdgebllError, match=r"measuring on torch failed \(.*1 value per channel.*\); free some memory or use --scale small"
    ):
        measure_cell(cell(tmp_path, 1), tmp_path, lambda _: None)
