"""Lines of a table against their references, over seeds that saw the same samples in the same order."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.recipes import write_recipe

import edgebll
from edgebll.data import load_dataset, training_batch
from edgebll.data.registry import limited
from edgebll.learning import RULE_REGISTRY, is_one_block
from edgebll.learning.reproduce.cells import cells_of
from edgebll.learning.reproduce.differences import head_figures, ranked, used_depth, with_differences
from edgebll.learning.reproduce.recipe_file import read_recipe
from edgebll.learning.reproduce.report import section
from edgebll.learning.training import TrainConfig, train
from edgebll.learning.training.training_loop import TrainingLoop

GREEDY = ("[[published]]", '[[rules]]\nname = "GLL"\nrule = "greedy"\n\n[[published]]')
SOURCES = ("[sources]", '[sources]\ngreedy = "ours"')
DIGITS: dict[str, Any] = {"data": "digits", "limit": 96, "epochs": 2, "batch_size": 32, "augment": "standard", "lr": 0.02}
DIGITS |= {"network": "resnet8", "network_options": {"width": 2}}
# Rules that learn online need neurons.
SPIKING: dict[str, Any] = {**DIGITS, "network": "spiking-mlp", "network_options": {"width": 8, "time_steps": 2}}


def line(rule: str, blocks: int, *accuracies: float, heads: tuple[float, ...] = ()) -> dict[str, Any]:
    by_seed = {str(seed): value for seed, value in enumerate(accuracies)}
    mean = sum(accuracies) / len(accuracies) if accuracies else None
    return {
        **{"setting": "digits MLP", "rule": rule, "blocks": blocks, "accuracies": by_seed, "mean": mean, "heads": list(heads)},
        **{"spread": None, "gap": None, "published": [], "reason": "", "seconds": None},
    }


def document(*lines: dict[str, Any]) -> dict[str, Any]:
    return {
        **{"title": "T", "scale": "small", "text": "", "words": "", "kind": "accuracy", "baseline": "BP", "greedy": "GLL"},
        **{"done": 3, "runs": 3, "seconds": 0, "machines": [], "data": [], "edgebll": "0", "notes": [], "parameters": []},
        "lines": [{**one, "against": {"BP": None}} for one in lines],
    }


def differences(folder: Path, lines: list[dict[str, Any]], *changes: tuple[str, str]) -> dict[tuple[str, int], Any]:
    recipe = read_recipe(str(write_recipe(folder, GREEDY, SOURCES, *changes)))
    found = with_differences(recipe, lines, cells_of(recipe, "small"))
    return {(one["rule"], one["blocks"]): one["against"] for one in found}


LINES = [
    line("BP", 1, 90.0, 90.4, 90.2),
    line("Local", 2, 88.0, 88.5, 88.1),
    line("Local", 3, 85.0),
    line("GLL", 2, 86.0, 86.3, 86.2),
    line("GLL", 3),
]


def test_every_line_is_compared_with_the_baseline_and_with_greedy_learning(tmp_path: Path) -> None:
    """Of as many blocks; the baseline of one block stands for all."""
    found = differences(tmp_path, LINES)
    assert found["BP", 1] == {"GLL": None}
    local = found["Local", 2]
    assert (local["BP"]["verdict"], local["BP"]["seeds"]) == ("lower", [0, 1, 2])
    assert local["BP"]["mean"] == pytest.approx((-2.0 - 1.9 - 2.1) / 3)
    assert (local["GLL"]["verdict"], local["GLL"]["mean"]) == ("higher", pytest.approx((2.0 + 2.2 + 1.9) / 3))
    assert (found["Local", 3]["BP"]["verdict"], found["Local", 3]["GLL"]) == ("not resolved", None)
    assert found["GLL", 2].keys() == {"BP"}


def test_a_rule_that_saw_other_batches_is_compared_with_none(tmp_path: Path) -> None:
    found = differences(tmp_path, LINES, ('rule = "greedy"', 'rule = "greedy"\ntrain = { batch_size = 16 }'))
    assert found["GLL", 2] == {"BP": None}
    assert found["Local", 2]["GLL"] is None
    assert found["Local", 2]["BP"] is not None


def test_an_order_is_only_claimed_where_it_is_resolved() -> None:
    assert ranked(LINES[:2] + LINES[3:]) == "BP > Local > GLL"
    assert ranked([LINES[2], LINES[0]]) == "BP ~ Local"
    assert ranked([line("A", 1, 80.0, 80.4, 80.2), line("B", 1, 80.1, 80.2, 80.3)]) in ("A ~ B", "B ~ A")


def test_heads_are_told_block_by_block() -> None:
    """The last number is the network's own."""
    runs = {
        "0": {"block1": {"accuracy": 0.6}, "block0": {"accuracy": 0.5}},
        "4": {"block0": {"accuracy": 0.7}, "block1": {"accuracy": 0.8}},
    }
    assert head_figures(runs) == [{0: pytest.approx(50.0), 4: pytest.approx(70.0)}, {0: 60.0, 4: 80.0}]
    assert head_figures({"0": {}}) == head_figures({}) == head_figures({**runs, "5": {}}) == []
    text = section(document(line("Local", 3, 74.0, 76.0, 75.0, heads=(60.0, 75.5))))
    assert "| rule | blocks | accuracy after each block % | depth used to |" in text
    assert "| Local | 3 | 60.0 75.5 75.0 | not resolved |" in text
    assert "75.0 | block 2 |" in section(document({**line("Local", 3, 75.0, heads=(60.0, 75.5)), "depth": 2}))


def test_heads_are_told_in_the_figure_of_the_table() -> None:
    runs = {"0": {"block0": {"accuracy": 0.6, "bits_per_byte": 2.5}}}
    assert head_figures(runs, "bits_per_byte") == [{0: 2.5}]
    assert head_figures(runs, "bits_per_pixel") == []
    text = section({**document(line("Local", 2, 2.1, heads=(2.4,))), "metric": "bits_per_byte", "lower": True})
    assert "| rule | blocks | bits per byte after each block | depth used to |" in text
    assert "| Local | 2 | 2.400 2.100 | not resolved |" in text


@pytest.mark.parametrize(
    ("known", "lower", "expected"),
    [
        ([(60.0, 60.2, 60.1), (70.0, 70.1, 70.3), (70.1, 70.0, 70.4)], False, 2),  # the third is not resolved from the second
        ([(60.0, 60.2, 60.1), (70.0, 70.1, 70.3), (72.1, 72.0, 72.4)], False, 3),
        ([(60.0, 60.2, 60.1), (50.0, 50.1, 50.3), (57.1, 57.0, 57.4)], False, 1),  # later blocks lose what the first had
        ([(2.5, 2.51, 2.52), (2.1, 2.12, 2.11)], True, 2),
        ([(60.0, 60.2), (70.0, 70.1)], False, None),
    ],
)
def test_depth_is_used_as_far_as_blocks_are_resolved_to_be_better(
    known: list[tuple[float, ...]], lower: bool, expected: int | None
) -> None:
    assert used_depth([dict(enumerate(own)) for own in known], lower=lower) == expected


def test_a_table_of_three_seeds_is_told_with_all_of_it(tmp_path: Path) -> None:
    """Differences, heads and depth are those of the runs' own summaries."""
    recipe = write_recipe(tmp_path, GREEDY, SOURCES, ("blocks = [2, 3]", "blocks = [3]"), ("epochs = 2", "epochs = 1"))
    swept = edgebll.sweep(recipe, out=tmp_path / "out", scale="small", seeds=3, jobs=1)

    def summaries(rule: str) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(swept.runs.glob(f"*-{rule}-*/summary.json"))]

    found = {one["rule"]: one for one in swept.document["lines"]}
    ours, greedy = summaries("local"), summaries("gll")
    gaps = [100 * (a["accuracy"] - b["accuracy"]) for a, b in zip(ours, greedy, strict=True)]
    against = found["Local"]["against"]["GLL"]
    assert against["mean"] == pytest.approx(np.mean(gaps))
    assert against["high"] - against["mean"] == pytest.approx(4.302653 * np.std(gaps, ddof=1) / 3**0.5, rel=1e-5)
    expected = [100 * np.mean([own["heads"][block]["accuracy"] for own in ours]) for block in ("block0", "block1")]
    assert found["Local"]["heads"] == pytest.approx(expected)
    assert found["Local"]["depth"] in (1, 2, 3)
    assert (found["BP"]["heads"], found["BP"]["depth"]) == ([], None)
    text = swept.report.read_text("utf-8")
    assert "| rule | blocks | ours | gap | against BP | against GLL | published |" in text
    assert f"| Local | 3 | {' '.join(f'{own:.1f}' for own in [*expected, found['Local']['mean']])} | block " in text


@pytest.mark.parametrize("rule", RULE_REGISTRY.names())
def test_all_rules_see_the_same_samples_in_the_same_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """Every batch of a run, after augmentation and with its labels, is that of its seed whatever the rule."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    step = TrainingLoop._batch

    def batch(self: TrainingLoop, states: Any, x: torch.Tensor, y: torch.Tensor, *others: Any) -> Any:
        seen.append((x.clone(), y.clone()))
        return step(self, states, x, y, *others)

    monkeypatch.setattr(TrainingLoop, "_batch", batch)
    config = SPIKING if rule in ("decolle", "eprop") else DIGITS
    train(TrainConfig(**config, rule=rule, blocks=1 if is_one_block(rule) else 3), tmp_path / rule)
    dataset = limited(load_dataset("digits", "train"), DIGITS["limit"])
    for number, (x, y) in enumerate(seen):
        epoch, index = divmod(number, 3)
        order = np.random.RandomState([0, epoch]).permutation(96)[32 * index : 32 * (index + 1)]
        expected, labels = training_batch(dataset, order, "standard", 0, epoch)
        assert np.array_equal(x.numpy(), expected)
        assert np.array_equal(y.numpy(), labels)
    assert len(seen) == 6
