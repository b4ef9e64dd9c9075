"""What docs/how-to/reproduce-papers.md shows: its recipe runs, its commands can be given, its table of tables is whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.documents import Document
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.parameters import check_told
from edgebll.learning.reproduce.recipe_file import read_recipe, recipe_names

DOCUMENT = Document("docs/how-to/reproduce-papers.md")


def test_the_recipe_is_complete(tmp_path: Path) -> None:
    (text,) = DOCUMENT.fenced("toml")
    path = tmp_path / "digits.toml"
    path.write_text(text, "utf-8")
    check_told(read_recipe(str(path)), "full")


@pytest.mark.slow
def test_the_commands_can_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tables list what they would run instead."""
    monkeypatch.chdir(tmp_path)
    for program, *arguments in DOCUMENT.commands():
        assert program == "edgebll"
        result = CliRunner().invoke(app, [*[word for word in arguments if word != "--measure"], "--list"])
        assert result.exit_code == 0, result.output


def test_the_tables_and_their_numbers_of_runs_are_told() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \|.*\| (\d+) \| \d+ \| (\d+) \| \d+ \|$", DOCUMENT.text, re.MULTILINE)
    told = {name: (int(small), int(medium)) for name, small, medium in rows}
    recipes = {name: read_recipe(name) for name in recipe_names()}
    assert told == {n: (len(cells_of(r, "small")), len(cells_of(r, "medium"))) for n, r in recipes.items()}
