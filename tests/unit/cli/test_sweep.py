"""`edgebll sweep`: recipes of one's own, titled as what they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.command_calls import call, sentence

import edgebll

RECIPE = """
title = "How strong should the match be?"
baseline = "BP"
seeds = 2
train = { epochs = 1, batch_size = 32, limit = 320 }

[[settings]]
name = "digits MLP"
blocks = [2]
train = { data = "digits", network = "mlp", network_options = { width = 8 } }

[[rules]]
name = "BP"
rule = "backprop"

[[rules]]
name = "BLL"
rule = "bll"
grid = { match = [1.0, 4.0] }
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(RECIPE)
    return path


def test_a_recipe_of_ones_own_is_no_reproduction(recipe: Path) -> None:
    """Titled as what it is; no columns of published figures, no sources, no order that chance may have made."""
    out = recipe.parent / "out"
    result = call("sweep", recipe, "--out", out, "-j", "1")
    assert result.stdout == f"{out / 'RESULTS.md'}: 6 of 6 runs of mine are whole\n"
    assert "6 of 6 runs are over" in result.stderr
    text = (out / "RESULTS.md").read_text("utf-8")
    assert text.startswith("# Results of recipes of one's own\n")
    assert "## How strong should the match be?\n" in text
    assert "| rule | blocks | ours | gap | against BP | seeds | minutes a run |" in text
    assert "| `lr` | 0.05 |" in text
    assert not [word for word in ("reproduc", "published", "source", "Scale:", " scale)", "paper", " > ") if word in text]
    again = call("sweep", recipe, "--out", out, "-j", "1", "--json")
    document = json.loads(again.stdout)
    assert (document["left"], document["errors"], document["reproduction"]) == (0, {}, False)
    assert "begins" not in again.stderr
    compared = edgebll.compare([out / "mine" / "full" / "runs"])
    assert (set(compared.options), [len(group.runs) for group in compared.groups]) == (
        {"rule", "blocks", "rule.match"},
        [2, 2, 2],
    )


def test_without_a_baseline_there_are_no_gaps(recipe: Path) -> None:
    recipe.write_text(RECIPE.replace('baseline = "BP"\n', "").replace("seeds = 2", "seeds = 1"))
    out = recipe.parent / "out"
    call("sweep", recipe, "--out", out, "-j", "1", "--only", "BP")
    assert "| rule | blocks | ours | seeds | minutes a run |" in (out / "RESULTS.md").read_text("utf-8")


def test_runs_that_cannot_be_done_are_named_with_an_exit_code(recipe: Path) -> None:
    """The others are whole, and the table says why some are not."""
    recipe.write_text(RECIPE.replace("grid = { match = [1.0, 4.0] }", "grid = { train = { batch_size = [32, 4000] } }"))
    out = recipe.parent / "out"
    result = call("sweep", recipe, "--out", out, "-j", "1", code=2)
    assert "edgebll: 2 of 6 runs could not be done: the batch size must lie in 1..320" in sentence(result)
    assert "BLL batch_size=4000, digits MLP, 2 blocks, seed 1: the batch size must lie in 1..320" in result.stderr
    assert "4 of 6 runs of mine are whole" in result.stdout
    assert "| BLL batch_size=4000 | 2 | - (the batch size must lie in" in (out / "RESULTS.md").read_text("utf-8")
    listed = call("sweep", recipe, "--out", out, "--list").stdout
    assert (listed.count("done"), listed.count("open")) == (4, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--jobs", "0"], "the number of trainings at once must be at least 1"),
        (["--minutes", "-1"], "the minutes must be above 0, not -1"),
        (["--device", "tpu"], "the device must be one of"),
        (["--scale", "big"], "the scale must be full or small, not 'big'"),
        (["--only", "dgl"], "has no rule 'dgl'; it has BP, BLL match=1.0, BLL match=4.0"),
    ],
)
def test_wrong_options_are_refused(recipe: Path, arguments: list[str], message: str) -> None:
    assert message in sentence(call("sweep", recipe, "--out", recipe.parent / "out", *arguments, code=2))
    assert not (recipe.parent / "out").exists()
