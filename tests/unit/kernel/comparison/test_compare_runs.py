"""Comparing runs: groups follow from the options, and chance is not called a result. SciPy is the judge of intervals."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats
from support.seeded_runs import TRAINED, rewrite, write_group, write_run

import edgebll
from edgebll.kernel.errors import BundleError, ConfigError

RULE: dict[str, Any] = {"rule": "greedy", "rule_options": {"head_size": 3}}


def test_groups_differ_in_nothing_but_seeds(tmp_path: Path) -> None:
    """Where and how a run was computed and saved makes no group; the options of another rule are not told one by one."""
    write_group(tmp_path, "a", [0.80, 0.82])
    write_run(tmp_path / "a-9", 9, [0.81], threads=7, evaluate_epochs=3, device="cuda", checkpoint_steps=1)
    write_group(tmp_path, "b", [0.85, 0.86], lr=0.1)
    write_group(tmp_path, "c", [0.70], **RULE)
    found = edgebll.compare([tmp_path])
    assert found.options == ("rule", "lr")
    assert [group.options for group in found.groups] == [
        {"rule": "bll", "lr": 0.05},
        {"rule": "bll", "lr": 0.1},
        {"rule": "greedy", "lr": 0.05},
    ]
    assert [[run.seed for run in group.runs] for group in found.groups] == [[0, 1, 9], [0, 1], [0]]
    assert found.groups[0].mean == pytest.approx(0.81)
    assert found.groups[0].spread == pytest.approx(np.std([0.80, 0.82, 0.81], ddof=1))
    assert found.groups[2].spread is None


def test_options_of_a_rule_are_told_where_they_differ(tmp_path: Path) -> None:
    options = json.loads(TRAINED.read_text())["rule_options"]
    for index, match in enumerate((1.0, 2.0)):
        write_group(tmp_path, f"m{index}", [0.8], rule_options={**options, "match": match})
    write_group(tmp_path, "other", [0.8], **RULE)
    assert edgebll.compare([tmp_path]).options == ("rule", "rule.match")


def test_a_paired_interval_is_scipys(tmp_path: Path) -> None:
    ours, theirs = [0.80, 0.79, 0.82, 0.78, 0.90], [0.60, 0.58, 0.63, 0.57, 0.71]
    write_group(tmp_path, "a", theirs)
    write_group(tmp_path, "b", ours, lr=0.1)
    (one,) = edgebll.compare([tmp_path]).differences
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.95)
    assert (one.low, one.high) == (pytest.approx(expected.low), pytest.approx(expected.high))
    assert (one.seeds, one.verdict) == ((0, 1, 2, 3, 4), "higher")
    assert edgebll.compare([tmp_path], metric="loss").differences[0].verdict == "lower"


def test_without_matching_seeds_the_interval_is_welchs(tmp_path: Path) -> None:
    """Rounded down, its degrees of freedom make it no narrower than SciPy's."""
    ours, theirs = [0.80, 0.79, 0.82], [0.60, 0.58, 0.63, 0.57]
    write_group(tmp_path, "a", theirs)
    write_group(tmp_path, "b", ours, first_seed=10, lr=0.1)
    (one,) = edgebll.compare([tmp_path]).differences
    expected = stats.ttest_ind(ours, theirs, equal_var=False).confidence_interval(0.95)
    assert one.low is not None
    assert one.high is not None
    assert expected.low - 0.02 < one.low <= expected.low
    assert expected.high <= one.high < expected.high + 0.02
    assert (one.paired, one.counts, one.verdict) == (False, (3, 4), "higher")


def test_several_comparisons_share_the_risk(tmp_path: Path) -> None:
    """Bonferroni: 95 % for both together is 97.5 % for each."""
    groups = {"a": [0.60, 0.58, 0.63], "b": [0.80, 0.79, 0.82], "c": [0.61, 0.60, 0.62]}
    for index, (name, values) in enumerate(groups.items()):
        write_group(tmp_path, name, values, lr=0.1 * (index + 1))
    found = edgebll.compare([tmp_path], against=tmp_path / "b-1")
    assert found.reference == 1
    expected = stats.ttest_rel(groups["c"], groups["b"]).confidence_interval(0.975)
    difference = found.difference(2)
    assert difference is not None
    assert difference.low == pytest.approx(expected.low)
    assert "for all 2 together (Bonferroni)" in found.rule
    assert found.difference(1) is None


def test_runs_that_begin_with_other_weights_are_told_apart(tmp_path: Path) -> None:
    """By what is in the files, not by where they lie; a run of before there were any begins with drawn ones."""
    drawn = {"file": "", "sha256": "", "left_out": []}
    write_group(tmp_path, "old", [0.7])
    write_group(tmp_path, "drawn", [0.7], first_seed=1, weights=drawn)
    write_group(tmp_path, "a", [0.8], weights={"file": "/here/a.pt", "sha256": "a" * 64, "left_out": []})
    write_group(tmp_path, "copy", [0.8], first_seed=1, weights={"file": "/there/b.pt", "sha256": "a" * 64, "left_out": []})
    write_group(tmp_path, "b", [0.9], weights={"file": "/here/a.pt", "sha256": "b" * 64, "left_out": []})
    write_group(tmp_path, "part", [0.9], weights={"file": "/here/a.pt", "sha256": "b" * 64, "left_out": ["head.*"]})
    found = edgebll.compare(sorted(tmp_path.iterdir()))
    assert found.options == ("weights", "weights.left_out")
    assert [sorted(run.path.name for run in group.runs) for group in found.groups] == [
        ["a-0", "copy-1"],
        ["b-0"],
        ["drawn-1", "old-0"],
        ["part-0"],
    ]
    assert found.groups[1].title == "weights bbbbbbbbbbbb, weights.left_out []"


def test_own_data_and_code_are_told_apart_by_their_content(tmp_path: Path) -> None:
    def place(folder: str, content: str) -> dict[str, Any]:
        origin = {"reference": f"{folder}/net.py:make", "files": {f"{folder}/net.py": content * 64}, "package": ""}
        options = {"kind": "arrays", "digest": content * 64, "code": origin, "test": 0.2}
        named: dict[str, Any] = {"network": f"{folder}/net.py:make", "code": {"network": origin}}
        named["sampling"] = f"weights:{folder}/w.npy#{content * 64}"
        return {"data": f"{folder}/data", "data_options": options, **named}

    write_group(tmp_path, "a", [0.7], **place("/runs/seed0", "a"))
    write_group(tmp_path, "b", [0.8], first_seed=1, **place("/runs/seed1", "a"))
    assert (len(edgebll.compare([tmp_path]).groups), edgebll.compare([tmp_path]).options) == (1, ())
    write_group(tmp_path, "c", [0.9], **place("/runs/seed0", "c"))
    found = edgebll.compare([tmp_path])
    assert len(found.groups) == 2
    assert sorted(found.options) == ["code.network", "data.digest", "sampling"]
    assert found.groups[1].options["sampling"] == "w.npy#cccccccccccc"
    assert found.groups[1].options["data.digest"] == "c" * 12


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [
        ([0.71, 0.79, 0.75], "not shown"),  # the interval holds zero
        ([0.72, 0.82, 0.77], "within the spread"),  # two points more with every seed, but seeds move results by five
        ([0.90, 1.00, 0.95], "higher"),
        ([0.50, 0.60, 0.55], "lower"),
        ([0.99, 0.99], "too few seeds"),
    ],
)
def test_only_what_is_above_chance_and_spread_is_called(tmp_path: Path, ours: list[float], verdict: str) -> None:
    write_group(tmp_path, "a", [0.70, 0.80, 0.75])
    write_group(tmp_path, "b", [one + 1e-4 * n for n, one in enumerate(ours)], lr=0.1)
    assert edgebll.compare([tmp_path]).differences[0].verdict == verdict


def test_chance_is_seldom_called(tmp_path: Path) -> None:
    """Two rules that are the same, five seeds each: of 400 comparisons no more are called than the confidence allows."""
    from edgebll.kernel.comparison.group_difference import difference_of
    from edgebll.kernel.comparison.run_groups import RunGroup
    from edgebll.kernel.comparison.seeded_run import SeededRun

    random = np.random.default_rng(0)
    runs = tuple(SeededRun(tmp_path, seed, {}, {}, ()) for seed in range(5))
    called = 0
    for _ in range(400):
        groups = [RunGroup({}, runs, tuple(random.normal(0.9, 0.01, 5))) for _ in range(2)]
        called += difference_of(groups, 1, 0, 1).verdict in ("higher", "lower")
    assert called <= 0.05 * 400


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    """Copied runs would feign certainty."""
    write_group(tmp_path, "a", [0.8])
    shutil.copytree(tmp_path / "a-0", tmp_path / "copy")
    with pytest.raises(ConfigError, match=r"a-0 and .*copy are the same run, with seed 0 and the same options; give one"):
        edgebll.compare([tmp_path])


def test_unfinished_runs_are_left_out_and_told(tmp_path: Path) -> None:
    for path in write_group(tmp_path, "a", [0.8, 0.9])[:1]:
        (path / "summary.json").unlink()
    found = edgebll.compare([tmp_path / "a-0", tmp_path / "a-1", tmp_path])
    assert (found.left_out, found.groups[0].values) == ((tmp_path / "a-0",), (0.9,))
    (tmp_path / "a-1" / "summary.json").unlink()
    with pytest.raises(BundleError, match="none of the 2 runs is whole; finish them first"):
        edgebll.compare([tmp_path])


def test_runs_over_boards_are_told_apart_by_their_bundles(tmp_path: Path) -> None:
    """Their rule stands in the manifest, their seed and epochs in run.json."""
    simulated = TRAINED.parents[1] / "simulated"
    shutil.copytree(simulated, tmp_path / "one")
    shutil.copytree(simulated, tmp_path / "two")
    rewrite(tmp_path / "two" / "run.json", {"seed": 1, "boards": 3, "window": 2})
    found = edgebll.compare([tmp_path])
    assert (found.options, len(found.groups)) == ((), 1)
    assert found.groups[0].runs[0].options["rule.match"] == 1.0
    assert found.groups[0].runs[0].options["schedule.lr"] == 0.04


def test_other_figures(tmp_path: Path) -> None:
    """Metrics of tasks with others than accuracy, and any number of the summary."""
    write_group(tmp_path, "a", [0.8, 0.9])
    assert edgebll.compare([tmp_path], metric="seconds").groups[0].values == (2.0, 3.0)
    for seed in (0, 1):
        rewrite(tmp_path / f"a-{seed}" / "summary.json", {"metrics": {"error": 0.1 + seed, "loss": 1.0}, "accuracy": None})
    found = edgebll.compare([tmp_path])
    assert (found.metric, found.groups[0].values) == ("error", (0.1, 1.1))
    with pytest.raises(ConfigError, match=r"a-0 has no figure 'accuracy'; it has error, loss, seconds"):
        edgebll.compare([tmp_path], metric="accuracy")


def test_bad_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are no runs to compare"):
        edgebll.compare([])
    with pytest.raises(BundleError, match="is not a run folder and holds none; give runs of"):
        edgebll.compare([tmp_path])
    (path,) = write_group(tmp_path, "a", [0.8])
    with pytest.raises(ConfigError, match="is none of the whole runs that are compared"):
        edgebll.compare([path], against=tmp_path / "b")
    rewrite(path / "summary.json", {"accuracy": None, "loss": None})
    with pytest.raises(BundleError, match="was not evaluated, so there is nothing to compare"):
        edgebll.compare([path])
    rewrite(path / "run.json", {"seed": None})
    with pytest.raises(BundleError, match=r"run\.json has no seed, but None"):
        edgebll.compare([path])
    (path / "summary.json").write_text("[")
    with pytest.raises(BundleError, match=r"summary\.json is not JSON"):
        edgebll.compare([path])
