"""Tables of another figure than accuracy: told as it is, with the best first, whichever way is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.recipes import write_recipe
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.errors import ConfigError
from edgebll.learning.reproduce import results as module
from edgebll.learning.reproduce.cells import Cell, cells_of
from edgebll.learning.reproduce.one_run import DONE, Clock, outcome_of, run_cell
from edgebll.learning.reproduce.recipe import Recipe
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.report import section
from edgebll.learning.reproduce.results import results

#: Of each rule by seed; the differences between the two hardly differ.
LOSSES = {"BP": (2.0, 2.1, 2.05), "Local": (1.5, 1.601, 1.549)}


def recipe_of(folder: Path, metric: str) -> Recipe:
    return read_recipe(str(write_recipe(folder, ('baseline = "BP"', f'baseline = "BP"\nmetric = "{metric}"'))))


@pytest.mark.parametrize(("metric", "words"), [("loss", "less is better"), ("f1", "more is better")])
def test_the_best_comes_first_whichever_way_is_better(
    metric: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outcome(recipe: Recipe, cell: Cell, runs: Path) -> dict[str, Any]:
        found = {"accuracy": 0.5, "metrics": {metric: LOSSES[cell.row.name][cell.seed]}, "heads": {"block0": {"accuracy": 0.4}}}
        return {"state": "done", **found, "seconds": 90.0, "machine": "M", "data": "digits", "data_source": ""}

    monkeypatch.setattr(module, "outcome", outcome)
    recipe = recipe_of(tmp_path, metric)
    document = results(recipe, "small", cells_of(recipe, "small", 3), tmp_path)
    text = section(document)
    assert f"Figures and gaps are {metric} of the test samples; {words}." in text
    assert "| BP | 1 | 2.0500 ± 0.0500 | +0.0000 |" in text
    assert "| Local | 2 | 1.5500 ± 0.0505 | -0.5000 | -0.5000 [-0.5025, -0.4975] lower |" in text
    assert f"- In 2 blocks: ours {'Local > BP' if metric == 'loss' else 'BP > Local'}; " in text
    assert "accuracy after each block" not in text, "that would be of another kind than the table"


def test_the_metric_is_the_runs_own(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, "loss")
    cell = cells_of(recipe, "small", 1)[0]
    assert run_cell(cell, tmp_path / "runs", Clock(0.0), say=lambda _: None) == DONE
    found = outcome_of(cell, tmp_path / "runs")
    assert recipe.figure_of(found) == found["metrics"]["loss"] > 0
    assert recipe_of(tmp_path, "accuracy").figure_of(found) == 100 * found["accuracy"]
    with pytest.raises(ConfigError, match=r"tiny\.toml: the runs have no metric 'rmse'; they have accuracy, loss"):
        recipe_of(tmp_path, "rmse").figure_of(found)


def test_the_list_of_runs_has_the_metric(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, ('baseline = "BP"', 'baseline = "BP"\nmetric = "bits_per_byte"'))
    result = CliRunner().invoke(app, ["reproduce", str(path), "--list", "--out", str(tmp_path / "out")])
    assert "bits per byte" in result.output
    assert "accuracy" not in result.output


def test_a_text_that_is_missing_leaves_its_runs_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgebll.data.corpora.corpus_places", lambda _name: [tmp_path / "none"])
    result = CliRunner().invoke(app, ["reproduce", "bytes", "--out", str(tmp_path / "out")])
    assert result.exit_code == 4
    assert "the text jargon was not found at" in result.output
    assert "apt install jargon-text" in result.output
