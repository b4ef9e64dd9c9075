"""`edgebll simulate --virtual`: the steps of a real run in the order of a real run, the same every time, and clear refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.pipelines import SHORT, invoke, one_sentence
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.bundle import open_bundle

STEP_S = 0.02


@pytest.fixture
def cluster(dense_bundle: Path, tmp_path: Path) -> Path:
    """Three boards that were calibrated for the bundle: 20 ms a block, the last one half as fast; 4 W idle, 10 W busy."""
    inventory, measured = "", 'date = "2026-12-01T10:00:00+00:00"\n'
    digest = open_bundle(dense_bundle).manifest_sha256
    for number, seconds in enumerate((STEP_S, STEP_S, STEP_S * 2)):
        inventory += f'[[board]]\nname = "b{number}"\nendpoint = "tcp://127.0.0.1:{number + 7101}"\n'
        measured += f'[[board]]\nname = "b{number}"\nmessage_s = 0.0005\nidle_watts = 4.0\nbusy_watts = 10.0\n'
        for block in ("block0", "block1"):
            measured += f'[[step]]\nboard = "b{number}"\nbundle = "{digest}"\nblock = "{block}"\n'
            measured += f'runtime = "onnxruntime"\nthreads = 1\nseconds = {seconds}\nspread = 0.1\n'
    (tmp_path / "calibration.toml").write_text(measured)
    path = tmp_path / "cluster.toml"
    path.write_text(inventory)
    return path


def applied(run: Path) -> dict[str, list[tuple[str, int, int]]]:
    """Of each block, what it applied in the order of time: kind and number, sequence and step."""
    events = json.loads((run / "timeline.json").read_text())["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    found: dict[str, list[tuple[str, int, int]]] = {name: [] for name in names.values()}
    for event in sorted((e for e in events if e["ph"] == "X"), key=lambda e: e["ts"]):
        found[names[event["tid"]]].append((event["name"], event["args"]["sequence"], event["args"]["step"]))
    return found


def predicted(bundle: Path, cluster: Path, *options: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(invoke("simulate", "--virtual", bundle, "--cluster", cluster, "--json", *options))
    return found


@pytest.mark.usefixtures("pictures")
def test_a_virtual_run_applies_the_steps_of_a_real_one_in_its_order(dense_bundle: Path, cluster: Path, tmp_path: Path) -> None:
    options = [*SHORT, "--epochs", 2, "--window", 3, "--snapshot-every", 4]
    invoke("simulate", dense_bundle, "--boards", 2, "--out", tmp_path / "real", *options)
    virtual = predicted(dense_bundle, cluster, "--out", tmp_path / "virtual", *options)
    real = json.loads((tmp_path / "real" / "summary.json").read_text())
    assert [list(blocks) for blocks in virtual["placements"][-1][1].values()] == list(real["placement"].values())
    assert virtual["steps"] == real["steps"] == 20
    assert virtual["snapshots"] == 5
    assert applied(tmp_path / "virtual") == applied(tmp_path / "real")
    assert (tmp_path / "virtual" / "timeline.png").stat().st_size > 0


def test_its_figures_are_those_of_the_boards(dense_bundle: Path, cluster: Path) -> None:
    """The slower of two boards says how fast it goes; both draw what they draw idle, and more while they compute."""
    found = predicted(dense_bundle, cluster, "--steps", 1000)
    per_step_s = STEP_S + 2 * 0.0005  # a message to take, and one to send on
    assert found["samples_per_second"] == pytest.approx(16 / per_step_s, rel=0.05)
    first, _second, spare = found["boards"]
    assert (first["blocks"], spare["blocks"], first["basis"]) == (["block0"], [], "calibration")
    assert first["busy"] == pytest.approx(STEP_S / per_step_s, rel=0.05)
    seconds = found["seconds"]
    assert spare["joules"] == pytest.approx(4.0 * seconds)
    assert first["joules"] == pytest.approx(4.0 * seconds + 6.0 * first["busy"] * seconds)
    assert found["joules"] == pytest.approx(sum(board["joules"] for board in found["boards"]))


def test_the_same_seed_gives_the_same_files_and_others_are_told_of(dense_bundle: Path, cluster: Path, tmp_path: Path) -> None:
    options = ["--steps", 300, "--fail", "kill:b0@2s", "--mean-life", "20s", "--repair", "2s", "--link", "wifi"]
    for name, more in (("one", ["--seeds", 3]), ("same", []), ("other", ["--seed", 1])):
        found = predicted(dense_bundle, cluster, *options, "--snapshot-seconds", 1, "--out", tmp_path / name, *more)
        assert found["recoveries"] > 0
        if name == "one":
            assert found["seeds"]["seconds"]["least"] < found["seeds"]["seconds"]["most"]
    one, same, other = ((tmp_path / name / "timeline.json").read_bytes() for name in ("one", "same", "other"))
    assert one == same != other


def test_a_printed_prediction_says_that_it_is_one(dense_bundle: Path, cluster: Path, tmp_path: Path) -> None:
    how = ["--cluster", cluster, "--steps", 200, "--fail", "b1@1s"]
    text = invoke("simulate", "--virtual", dense_bundle, *how, "--out", tmp_path / "out")
    assert "estimated: 200 steps in" in text
    assert "1 failure:" in text
    refused = CliRunner().invoke(app, ["eval", str(tmp_path / "out")])
    assert refused.exit_code == 3
    one_sentence(refused.stderr)


def test_a_thousand_spare_boards_are_no_thousand_lines(dense_bundle: Path) -> None:
    text = invoke("simulate", "--virtual", dense_bundle, "--boards", 1000, "--measure", "--steps", 50, "--link", "ethernet")
    assert "998 boards without blocks" in text
    assert len(text.splitlines()) < 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fail", "b9@1s"], "the board 'b9', but there are b0, b1, b2"),
        (["--fail", "b1"], "--fail must be BOARD@TIME"),
        (["--join", "b1@1s", "--join", "b1@2s"], "names b1 twice"),
        (["--join", "b0@1s", "--join", "b1@1s", "--join", "b2@1s"], "all boards join later"),
        (["--drain", "b1@soon"], "must have times such as 90s"),
        (["--link", "string"], "--link must be ethernet"),
        (["--lr", "0.1"], "--lr says nothing of times; leave it out"),
        (["--board-profile", "orin-nano"], "write profile = ... into the inventory"),
        (["--repair", "3s"], "give --mean-life too"),
        (["--mean-life", "0s"], "must be above 0s"),
        (["--life-shape", "0"], "--life-shape must be at least 0.1"),
        (["--steps", "0"], "--steps must be at least 1"),
        (["--seeds", "0"], "--seeds must be at least 1"),
    ],
)
def test_what_cannot_be_predicted_is_refused_in_one_sentence(
    dense_bundle: Path, cluster: Path, options: list[str], words: str
) -> None:
    result = CliRunner().invoke(app, ["simulate", "--virtual", str(dense_bundle), "--cluster", str(cluster), *options])
    assert result.exit_code == 2, result.output
    assert words in one_sentence(result.stderr)


def test_nothing_is_predicted_from_nothing_and_nothing_virtual_happens_to_real_boards(
    dense_bundle: Path, tmp_path: Path
) -> None:
    for options, words in (
        (["--virtual", "--steps", "5"], "nothing says how long a training step takes"),
        (["--seeds", "3", "--out", str(tmp_path / "out")], "--seeds is of runs in virtual time"),
        (["--virtual", "--boards", "0", "--steps", "5"], "needs at least one board"),
    ):
        result = CliRunner().invoke(app, ["simulate", str(dense_bundle), *options])
        assert result.exit_code == 2, result.output
        assert words in one_sentence(result.stderr)
    assert not (tmp_path / "out").exists()
