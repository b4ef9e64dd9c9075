"""docs/explanation/does-feedback-help.md shows what was run, and no more; its differences are those of plain arithmetic."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import feedback_page
from support.feedback_page import PAGE, QUESTIONS, STORED, TABLE, differences, replaced, tables

from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.recipe_file import read_recipe

STORED_RESULTS: dict[str, Any] = json.loads(STORED.read_text("utf-8"))
LINES = STORED_RESULTS["results"]["lines"]
#: 97.5 % quantile of Student's t with so many degrees of freedom.
T = {2: 4.302653, 3: 3.182446, 4: 2.776445}


def test_the_tables_are_written_from_the_stored_results() -> None:
    page = PAGE.read_text("utf-8")
    assert replaced(page, tables(STORED_RESULTS)) == page, "run `python -m support.feedback_page` in tests/"


def test_differences_in_the_text_are_those_of_the_tables() -> None:
    part = tables(STORED_RESULTS)
    text = PAGE.read_text("utf-8").replace(part, "")
    told = re.findall(r"[+-]\d+\.\d\d", text)
    assert told
    assert [figure for figure in told if figure not in part] == []


def test_the_stored_results_are_of_the_recipe() -> None:
    """Rules, numbers of blocks and seeds are those that the command runs today, each rule with a seed at least."""
    cells = cells_of(read_recipe(TABLE), "small")
    done = {(line["rule"], line["blocks"], int(seed)) for line in LINES for seed in line["accuracies"]}
    assert done <= {(cell.row.name, cell.blocks, cell.seed) for cell in cells}
    assert {rule for rule, _, _ in done} == {cell.row.name for cell in cells}


@pytest.mark.parametrize("words", QUESTIONS)
def test_differences_are_paired_by_seed(words: str) -> None:
    one, other = ({line["rule"]: line["accuracies"] for line in LINES}[rule] for rule in QUESTIONS[words])
    gaps = np.array([one[seed] - other[seed] for seed in sorted(one.keys() & other.keys())])
    (row,) = [line for line in differences(LINES).splitlines() if line.startswith(f"| {words} |")]
    if len(gaps) < 3:
        assert f"| {gaps.mean():+.2f} not resolved |" in row
        return
    half = T[len(gaps) - 1] * gaps.std(ddof=1) / math.sqrt(len(gaps))
    mean, low, high = map(float, re.findall(r"[+-]\d+\.\d\d", row)[:3])
    assert (mean, low, high) == pytest.approx((gaps.mean(), gaps.mean() - half, gaps.mean() + half), abs=0.006)
    spread = max(np.std(list(own), ddof=1) for own in (gaps, one.values(), other.values()))
    resolved = abs(gaps.mean()) > max(half, spread)
    assert ("not resolved" in row) == (not resolved)


def test_a_folder_is_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what every run was told; probes only of runs that are there."""
    results = {**STORED_RESULTS["results"], "words": "Tiny.", "cells": ["long"]}
    folder = tmp_path / "out" / TABLE / "small"
    folder.mkdir(parents=True)
    (folder / "results.json").write_text(json.dumps(results))
    page, stored = tmp_path / "page.md", tmp_path / "stored.json"
    page.write_text(PAGE.read_text("utf-8"))
    monkeypatch.setattr(feedback_page, "PAGE", page)
    monkeypatch.setattr(feedback_page, "STORED", stored)
    feedback_page.main([str(tmp_path / "out")])
    assert "Scale: Tiny." in page.read_text("utf-8")
    kept = json.loads(stored.read_text())
    assert "cells" not in kept["results"]
    assert kept["probes"] == {}
