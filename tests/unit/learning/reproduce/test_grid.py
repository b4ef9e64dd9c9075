"""A rule with a grid stands for a rule for each combination; what is no list is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgebll.kernel.errors import ConfigError
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.recipe import Recipe
from edgebll.learning.reproduce.recipe_file import read_recipe

OWN = """
seeds = 2
train = { epochs = 1, batch_size = 32, limit = 320 }

[[settings]]
name = "digits MLP"
blocks = [2]
train = { data = "digits", network = "mlp" }

[[rules]]
name = "BP"
rule = "backprop"

[[rules]]
name = "BLL"
rule = "bll"
options = { predict = 0.5 }
grid = { match = [1.0, 2.0], train = { lr = [0.01, 0.1] } }
"""


def recipe(folder: Path, text: str = OWN) -> Recipe:
    (folder / "own.toml").write_text(text)
    return read_recipe(str(folder / "own.toml"))


def test_each_combination_is_a_rule(tmp_path: Path) -> None:
    found = recipe(tmp_path)
    assert [row.name for row in found.rules] == [
        "BP",
        "BLL match=1.0 lr=0.01",
        "BLL match=1.0 lr=0.1",
        "BLL match=2.0 lr=0.01",
        "BLL match=2.0 lr=0.1",
    ]
    configs = [cell.config for cell in cells_of(found, "full") if cell.config is not None]
    assert [(c.rule, c.blocks, c.rule_options.get("match"), c.lr, c.seed) for c in configs[:3]] == [
        ("backprop", 1, None, 0.05, 0),
        ("bll", 2, 1.0, 0.01, 0),
        ("bll", 2, 1.0, 0.1, 0),
    ]
    assert (len(configs), configs[-1].seed, configs[-1].rule_options["predict"]) == (10, 1, 0.5)


def test_a_recipe_of_ones_own_says_little(tmp_path: Path) -> None:
    """Its title is its file's name; without [full] and [small] both scales are the same."""
    found = recipe(tmp_path)
    assert (found.title, found.baseline, found.has_scales, found.sources) == ("own", "", False, {})
    assert [cell.config for cell in cells_of(found, "small")] == [cell.config for cell in cells_of(found, "full")]
    assert recipe(tmp_path, OWN + "\n[small]\nseeds = 1\n").has_scales


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "match = [1.0, 2.0]",
            "match = 1.0",
            r"own\.toml: rules, BLL: grid\.match must be a list of values, e\.g\. \[1, 2\], not 1\.0",
        ),
        ("lr = [0.01, 0.1]", "lr = []", r"grid\.train\.lr must be a list of values"),
        ("train = { lr = [0.01, 0.1] }", "train = [1]", r"grid\.train must be a table such as"),
        ("[0.01, 0.1]", "[0.01, 0.01]", r"rules: 'BLL match=1\.0 lr=0\.01' is there twice"),
        ("match = [1.0", "mach = [1.0", "the rule bll has no option 'mach'"),
        ("seeds = 2", "seeds = 0", "seeds must be at least 1, not 0"),
    ],
)
def test_a_wrong_grid_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in OWN
    with pytest.raises(ConfigError, match=message):
        cells_of(recipe(tmp_path, OWN.replace(old, new)), "full")
