"""What docs/reference/reproduced.md says of medium scale is what was run, and no more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import medium_tables
from support.medium_tables import PAGE, TABLES, medium_part, replaced
from support.recipes import write_recipe

from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.results import results


def test_the_page_is_written_from_the_tables() -> None:
    page = PAGE.read_text("utf-8")
    part = medium_part(json.loads(TABLES.read_text("utf-8")))
    assert replaced(page, part) == page, "run `python -m support.medium_tables` in tests/"


def test_tables_that_nobody_ran_say_so() -> None:
    part = medium_part([])
    assert part.count("Not run yet: ") == part.count("\n### ")
    assert "\n### BLL, Table 1\n\nNot run yet: `edgebll reproduce bll-table1 --scale medium`.\n" in part


def test_tables_of_a_folder_are_taken_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only those of medium scale, and without what every run was told."""
    recipe = read_recipe(str(write_recipe(tmp_path)))
    tiny = results(recipe, "small", cells_of(recipe, "small"), tmp_path)
    for scale, title in (("medium", "Ours"), ("small", "Small one")):
        folder = tmp_path / "out" / "bll-blocks" / scale
        folder.mkdir(parents=True)
        document = {**tiny, "table": "bll-blocks", "scale": scale, "title": title}
        (folder / "results.json").write_text(json.dumps(document))
    page, tables = tmp_path / "page.md", tmp_path / "tables.json"
    page.write_text(replaced(PAGE.read_text("utf-8"), medium_part([])), "utf-8")
    tables.write_text("[]")
    monkeypatch.setattr(medium_tables, "PAGE", page)
    monkeypatch.setattr(medium_tables, "TABLES", tables)
    medium_tables.main([str(tmp_path / "out")])
    text = page.read_text("utf-8")
    assert "### Ours (medium scale)\n" in text
    assert "#### digits MLP\n\n| rule | blocks | ours |" in text
    assert "Small one" not in text
    assert "edgebll reproduce bll-blocks --scale medium" not in text
    (document,) = json.loads(tables.read_text())
    assert "cells" not in document
    medium_tables.main([])
    assert page.read_text("utf-8") == text
