"""RESULTS.md and results.json: figures of known accuracies, and of tables that are not whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.recipes import write_recipe

from edgebll.kernel.errors import BundleError
from edgebll.learning.reproduce import results as module
from edgebll.learning.reproduce.cells import Cell, cells_of
from edgebll.learning.reproduce.recipe import Recipe
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.report import report, section, write_results
from edgebll.learning.reproduce.results import results

ACCURACIES = {("BP", 1, 0): 0.90, ("BP", 1, 1): 0.92, ("Local", 2, 0): 0.85, ("Local", 2, 1): 0.89, ("Local", 3, 0): 0.80}


def document(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str = "") -> dict[str, Any]:
    """Results of the tiny table with two seeds, all but the last run done."""

    def outcome(recipe: Recipe, cell: Cell, runs: Path) -> dict[str, Any]:
        accuracy = ACCURACIES.get((cell.row.name, cell.blocks, cell.seed))
        if accuracy is None:
            return {"state": "open", "reason": ""}
        return {"state": "done", "accuracy": accuracy, "seconds": 90.0, "machine": "M", "data": "digits", "data_source": source}

    monkeypatch.setattr(module, "outcome", outcome)
    recipe = read_recipe(str(write_recipe(folder)))
    return results(recipe, "small", cells_of(recipe, "small", 2), folder)


def test_lines_compare_with_the_baseline_and_the_paper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gap is the mean over seeds that both have."""
    text = section(document(tmp_path, monkeypatch))
    assert "| BP | 1 | 91.00 ± 1.41 | +0.00 | - | 95.00 | +0.00 | 2 | 1.5 |" in text
    assert "| Local | 2 | 87.00 ± 2.83 | -4.00 | -4.00 not resolved | 93.00 ± 0.50 | -2.00 | 2 | 1.5 |" in text
    assert "| Local | 3 | 80.00 | -10.00 | -10.00 not resolved | 91.50 | -3.50 | 1 | 1.5 |" in text
    assert "- In 2 blocks: ours BP ~ Local; published BP > Local.\n- In 3 blocks: ours BP ~ Local; " in text
    assert "5 of 6 runs are trained, 8 minutes of training in all. Data: digits. Machine: M." in text
    assert "Scale: 2 epochs instead of 3, the first 320 images." in text
    assert "| `epochs` | 3 | 2 | Somebody 2020 |" in text
    assert "| `lr` | 0.02 | the same | ours: 0.1 was worse |" in text
    assert "- A note." in text
    assert "Published: Somebody 2020, Table 1." in text


def test_data_that_is_not_the_original_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Data: digits (made from JPEG)." in section(document(tmp_path, monkeypatch, "made from JPEG"))


def test_a_table_without_runs_says_so(tmp_path: Path) -> None:
    recipe = read_recipe(str(write_recipe(tmp_path)))
    text = section(results(recipe, "small", cells_of(recipe, "small"), tmp_path))
    assert "| Local | 2 | - (not run yet) | - | - | 93.00 ± 0.50 | -2.00 | 0 | - |" in text


def test_costs_are_compared_by_runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    costs = {1: (4 << 30, 8.0, 8.0), 16: (1 << 29, 1.0, 10.0)}

    def outcome(recipe: Recipe, cell: Cell, runs: Path) -> dict[str, Any]:
        if cell.blocks not in costs:
            return {"state": "open", "reason": ""}
        named = dict(zip(("peak_bytes", "slowest_seconds", "all_seconds"), costs[cell.blocks], strict=True))
        return {"state": "done", "machine": "M", "torch": named}

    monkeypatch.setattr(module, "outcome", outcome)
    recipe = read_recipe("costs")
    text = section(results(recipe, "small", cells_of(recipe, "small"), tmp_path))
    assert "| BP | 1 | 4096 | 0 % | - | 8.000 | 0 % | 8.000 |" in text
    assert "| GLL, convolutional | 16 | 512 | 88 % | 81 % | 1.000 | 88 % | 10.000 |" in text
    assert "| BLL | 8 | not run yet | - | - | - | - | - |" in text
    assert "ONNX Runtime:" not in text


def test_a_folder_holds_several_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = document(tmp_path, monkeypatch)
    out = tmp_path / "out"
    write_results(out, found)
    write_results(out, {**found, "table": "another", "title": "Another table"})
    write_results(out, {**found, "scale": "medium"})
    text = (out / "RESULTS.md").read_text("utf-8")
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == ["## Tiny table (medium scale)", "## Another table (small scale)", "## Tiny table (small scale)"]
    assert "## Another table (small scale)" in text
    assert text == report(json.loads((out / "results.json").read_text("utf-8")))
    (out / "tiny" / "small" / "results.json").write_text("{")
    with pytest.raises(BundleError, match="remove it and run that table again"):
        write_results(out, {**found, "table": "another"})
