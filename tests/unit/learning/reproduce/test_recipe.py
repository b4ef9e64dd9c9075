"""Recipes: those that come with edgebll are complete and can be run; a wrong one is refused with what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.recipes import write_recipe
from support.slow import slow_after

from edgebll.data import AUGMENTATIONS, DATASETS
from edgebll.data.corpora import CORPORA
from edgebll.kernel.errors import ConfigError
from edgebll.learning.networks import build_units, make_architecture
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.parameters import check_told, parameters
from edgebll.learning.reproduce.recipe import ACCURACY
from edgebll.learning.reproduce.recipe_file import read_recipe, recipe_names


@pytest.mark.parametrize("name", slow_after(2, recipe_names()))
def test_a_shipped_recipe_is_complete(name: str) -> None:
    """Every hyper-parameter has a source; networks can be cut as told; what is reduced is told; each rule has figures."""
    recipe = read_recipe(name)
    check_told(recipe, "full")
    assert recipe.medium is not None
    assert recipe.medium.words
    assert recipe.small.words
    assert not recipe.full.words
    for scale in recipe.scales:
        sizes = {}
        for cell in cells_of(recipe, scale, 1):
            assert cell.config is not None or "has no rule" in cell.reason
            if cell.config is None:
                continue
            config = cell.config
            assert config.data in (*DATASETS, *(f"bytes:{text}" for text in CORPORA))
            assert config.augment in AUGMENTATIONS
            key = (config.network, tuple(config.network_options.items()), config.blocks)
            if key not in sizes:
                shape, classes = make_architecture(config.network, config.network_options).example
                small = {**config.network_options, **({"width": 4} if "width" in config.network_options else {})}
                sizes[key] = build_units(config.network, classes, shape, small).sizes(config.blocks, config.split)
            assert len(sizes[key]) == config.blocks


@pytest.mark.parametrize("name", [name for name in recipe_names() if read_recipe(name).kind == ACCURACY])
def test_a_medium_scale_trains_real_networks_long_enough(name: str) -> None:
    """All samples, at least 20 epochs, three seeds; still images in bfloat16 with the usual augmentation; every rule alike."""
    recipe = read_recipe(name)
    assert recipe.seeds_at("medium") == 3
    configs = [cell.config for cell in cells_of(recipe, "medium", 1) if cell.config]
    for config in configs:
        assert config.epochs >= 20
        assert config.limit is None
        if config.data not in ("reverse", "bytes:jargon", "events-fashion-mnist"):
            assert (config.precision, config.augment) == ("bfloat16", "standard")
    for network in {config.network for config in configs}:
        own = [config for config in configs if config.network == network]
        assert len({(c.epochs, c.batch_size, c.warmup_steps, str(c.network_options)) for c in own}) == 1


def test_a_scale_may_leave_rules_out(tmp_path: Path) -> None:
    """But never the baseline; small tables stay as they were when rules are added for the others."""
    small = {cell.row.name for cell in cells_of(read_recipe("bll-table1"), "small")}
    assert small == {"BP", "Pred-Sim", "BLL", "BLL, batch means", "GLL", "FA"}
    changed = ("limit = 320", "limit = 321"), ('words = "2 epochs', 'rules = ["Local"]\nwords = "2 epochs')
    recipe = read_recipe(str(write_recipe(tmp_path, *changed)))
    assert {cell.row.name for cell in cells_of(recipe, "small")} == {"BP", "Local"}
    with pytest.raises(ConfigError, match=r"the table bll-table1 at small scale has no rule 'pred-sim, adam'; it has BP"):
        cells_of(read_recipe("bll-table1"), "small", only=["Pred-Sim, Adam"])


def test_a_medium_scale_that_a_recipe_lacks_is_refused(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    with pytest.raises(ConfigError, match=r"the scale of tiny must be full or small, not 'medium'"):
        cells_of(read_recipe(str(path)), "medium")
    added = "[medium]\nwords = 'one epoch'\ntrain = { epochs = 1, batch_size = 32, lr = 0.02 }\n\n[small]"
    recipe = read_recipe(str(write_recipe(tmp_path, ("[small]", added))))
    assert {cell.config.epochs for cell in cells_of(recipe, "medium") if cell.config} == {1}
    assert {entry["name"]: entry["here"] for entry in parameters(recipe, "medium")}["epochs"] == "1"


def test_published_figures_and_their_gaps() -> None:
    """Errors become accuracies; a baseline of one block stands beside every number of blocks."""
    recipe = read_recipe("backlink-table2")
    (line,) = [row for row in recipe.rules if row.name == "BackLink l=3"]
    (found,) = recipe.figures("CIFAR-10 ResNet-110", line, 16)
    assert found[1:] == (pytest.approx(90.25), None)
    assert recipe.figures("CIFAR-10 ResNet-32", line, 8) == []
    bll = read_recipe("bll-table1")
    (row,) = [row for row in bll.rules if row.name == "BLL"]
    assert [(value, spread) for _, value, spread in bll.figures("CIFAR-10 ResNet-50", row, 4)] == [(94.6, 0.17), (92.6, None)]


def test_one_seed_for_all_comes_before_a_second_for_any() -> None:
    cells = cells_of(read_recipe("bll-table1"), "full")
    assert [cell.seed for cell in cells] == [0] * 28 + [1] * 28 + [2] * 28
    names = ["BP", "Pred-Sim", "Pred-Sim, Adam", "BLL", "BLL, batch means", "GLL", "FA"]
    assert [cell.row.name for cell in cells[:14]] == names * 2
    assert [cell.blocks for cell in cells[:7]] == [1, 4, 4, 4, 4, 4, 1]
    assert len({cell.folder for cell in cells}) == len(cells)


def test_only_some_rules_and_always_the_baseline() -> None:
    recipe = read_recipe("bll-table1")
    assert {cell.row.name for cell in cells_of(recipe, "small", only=["bll"])} == {"BP", "BLL", "BLL, batch means"}
    assert {cell.row.name for cell in cells_of(recipe, "small", only=["Pred-Sim", "fa"])} == {"BP", "Pred-Sim", "FA"}
    with pytest.raises(
        ConfigError, match=r"at small scale has no rule 'dgl'; it has BP, Pred-Sim, BLL, BLL, batch means, GLL, FA"
    ):
        cells_of(recipe, "small", only=["dgl"])


def test_parameters_name_the_task_that_a_recipe_names(tmp_path: Path) -> None:
    task = 'data = "digits", task = "classification", task_options = { class_weights = [1, 2] }'
    sources = '[sources]\ntask = "ours"\nclassification = "Somebody 2020"'
    recipe = read_recipe(str(write_recipe(tmp_path, ('data = "digits"', task), ("[sources]", sources))))
    found = {entry["name"]: (entry["here"], entry["source"]) for entry in parameters(recipe, "small")}
    assert found["task"] == ("classification", "ours")
    assert found["classification.class_weights"] == ("(1.0, 2.0)", "Somebody 2020")
    assert "task" not in {entry["name"] for entry in parameters(read_recipe("bll-table1"), "small")}
    with pytest.raises(ConfigError, match=r"\[sources\] does not say where 'task' is from"):
        check_told(read_recipe(str(write_recipe(tmp_path, ('data = "digits"', task)))), "full")


def test_parameters_name_both_scales_and_their_source(tmp_path: Path) -> None:
    recipe = read_recipe(str(write_recipe(tmp_path)))
    found = {entry["name"]: entry for entry in parameters(recipe, "small")}
    assert found["epochs"] == {"name": "epochs", "full": "3", "here": "2", "source": "Somebody 2020", "ours": False}
    assert found["limit"]["full"] == "all"
    assert found["bll.match"]["source"] == "Somebody 2020"
    assert found["bll.pool"]["ours"]
    assert found["mlp.width"]["here"] == "16"
    table1 = {entry["name"]: entry for entry in parameters(read_recipe("backlink-table1"), "full")}
    assert table1["lr"]["full"].startswith("0.5 (CIFAR-10 ResNet-32, CIFAR-100 ResNet-32); 0.3 (CIFAR-10 ResNet-110")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('[[rules]]\nname = "BP"', '[[rows]]\nname = "BP"', "unknown field 'rows'"),
        ('baseline = "BP"', 'baseline = "XX"', r"tiny.toml: baseline: unknown 'XX'; known are BP, Local"),
        ('name = "Local"', 'name = "BP"', "rules: 'BP' is there twice"),
        ("BP = [5.0]", "Bp = [5.0]", "published.values: unknown 'Bp'"),
        ('setting = "digits MLP"', 'setting = "digits"', "published.setting: unknown 'digits'"),
        ("seeds = 2", "seeds = 0", "full.seeds must be at least 1, not 0"),
        ("seeds = 2", 'settings = ["x"]', "full.settings: unknown 'x'"),
        ("seeds = 2", "rules = ['XX']", "full.rules: unknown 'XX'; known are BP, Local"),
        ("seeds = 2", "blocks = [7]", "full.blocks: unknown 7; known are 2, 3"),
        ('baseline = "BP"', 'baseline = "BP"\nkind = "speed"', "kind must be accuracy or cost, not 'speed'"),
        ("epochs = 2", "epoch = 2", "unknown training option 'epoch'"),
        ("epochs = 2", "seed = 2", "unknown training option 'seed'"),
        ("epochs = 2", 'epochs = "2"', r"digits MLP, BP\.epochs: expected int, got str '2'"),
        ("match = 2.0", "mach = 2.0", "digits MLP, Local: the rule bll has no option 'mach'"),
        ("one_block = true", "one_block = false", "one_block must be true for the rule backprop"),
        ('schedule = "ours"\n', "", r"\[sources\] does not say where 'schedule' is from"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_recipe(tmp_path, (old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        check_told(read_recipe(str(path)), "full")
    assert "\n" not in str(caught.value)


def test_an_unknown_table_or_scale_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no table 'table9'; choose backlink-table1, "):
        read_recipe("table9")
    with pytest.raises(ConfigError, match=r"gone\.toml cannot be read"):
        read_recipe(str(tmp_path / "gone.toml"))
    with pytest.raises(ConfigError, match="the scale must be full, medium or small, not 'tiny'"):
        cells_of(read_recipe("bll-table1"), "tiny")


def test_a_rule_to_come_is_left_out_with_the_reason(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, ('rule = "bll"\noptions = { match = 2.0 }', 'rule = "someday"'))
    cells = cells_of(read_recipe(str(path)), "small")
    assert [cell.reason for cell in cells] == ["", *["this release of edgebll has no rule someday"] * 2]
