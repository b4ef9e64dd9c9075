"""A run that cannot be done is named, and ends no other; where the disk refuses, nothing more is begun."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recipes import write_recipe
from support.slow import slow_after

import edgebll
from edgebll.kernel.errors import ConfigError


@pytest.mark.parametrize("jobs", slow_after(1, [2, 1]))
def test_a_cell_that_fails_is_named_and_ends_no_other(tmp_path: Path, jobs: int) -> None:
    """One rule has a batch that the data cannot fill; those before and after it are whole."""
    first = '[[rules]]\nname = "BP"'
    wrong = '[[rules]]\nname = "Wrong"\nrule = "bll"\ntrain = { batch_size = 4000 }\n\n'
    recipe = write_recipe(tmp_path, (first, wrong + first), ("blocks = [2, 3]", "blocks = [2]"))
    lines: list[str] = []
    found = edgebll.sweep(recipe, out=tmp_path / "out", scale="small", seeds=1, jobs=jobs, progress=lines.append)
    title = "Wrong, digits MLP, 2 blocks, seed 0"
    assert {name: error.exit_code for name, error in found.errors.items()} == {title: 2}
    assert any(line.startswith(f"{title}: the batch size must lie in 1..320") for line in lines)
    assert lines[-1] == "2 of 3 runs are over" or lines[-1].startswith(title)
    states = {cell["rule"]: cell["state"] for cell in found.document["cells"]}
    assert states == {"Wrong": "open", "BP": "done", "Local": "done"}
    assert found.left == 1


@pytest.mark.parametrize("jobs", slow_after(0, [2, 1]))
def test_when_the_disk_refuses_nothing_more_is_begun(tmp_path: Path, jobs: int) -> None:
    (tmp_path / "out").write_text("no folder")
    found = edgebll.sweep(write_recipe(tmp_path), out=tmp_path / "out", scale="small", seeds=2, jobs=jobs)
    assert {error.exit_code for error in found.errors.values()} == {9}
    assert 1 <= len(found.errors) <= jobs


@pytest.mark.parametrize("jobs", slow_after(1, [1, 2]))
def test_nothing_is_asked_of_rules_that_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """The code of one is missing: without `only` that is told before anything is trained, with it the report is whole."""
    monkeypatch.chdir(tmp_path)
    missing = '[[rules]]\nname = "Gone"\nrule = "gone.py:Gone"\n\n[[rules]]\nname = "Local"'
    recipe = write_recipe(tmp_path, ('[[rules]]\nname = "Local"', missing), ("blocks = [2, 3]", "blocks = [2]"))
    with pytest.raises(ConfigError, match=r"^tiny\.toml: Gone: gone\.py cannot be read"):
        edgebll.sweep(recipe, scale="small", seeds=1, jobs=jobs)
    assert not Path("sweeps").exists()
    found = edgebll.sweep(recipe, scale="small", seeds=1, only=["local"], jobs=jobs)
    assert [line["rule"] for line in found.document["lines"]] == ["BP", "Local"]
    assert (found.left, found.errors, found.report.is_file()) == (0, {}, True)


def test_what_the_report_cannot_tell_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    """The report names what a parameter is at full scale, where this one is none."""
    recipe = write_recipe(tmp_path, ("epochs = 3", "epoch = 3"))
    with pytest.raises(ConfigError, match="unknown training option 'epoch'"):
        edgebll.sweep(recipe, out=tmp_path / "out", scale="small", seeds=1, jobs=1)
    assert not (tmp_path / "out").exists()
