"""A run whose host ended goes on from its snapshots with the bits of a run that nothing happened to, whatever the rule."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from support.pipelines import SHORT, HostProcess, invoke, records, summary
from support.rules import VARIANTS
from support.slow import slow_after
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.learning import SGD, make_rule
from edgebll.learning.networks import make_network
from edgebll_export import export_bundle

#: Rules with side streams: none, a lag of 2, lags of 0 and 2, 0 alone, and 2 with a part a step.
RULES = ("bll", "bll, chained", "backlink, no waiting", "infopro", "man")


class Bundles(dict[str, Path]):
    """Four small blocks by rule; exported when they are first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, variant: str) -> Path:
        name, options = VARIANTS[variant]
        network = make_network("mlp", num_blocks=4, num_classes=10, input_shape=(1, 8, 8), seed=0)
        self[variant] = self._folder / str(len(self))
        export_bundle(network, rule=make_rule(name, **options), optimizer=SGD(), batch_size=16, path=self[variant])
        return self[variant]


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(tmp_path_factory.mktemp("bundles"))


class WholeRuns(dict[str, Path]):
    """A whole run with each bundle, in one process, with all snapshots; made when it is first asked for."""

    def __init__(self, bundles: Bundles, folder: Path) -> None:
        super().__init__()
        self._bundles, self._folder = bundles, folder

    def __missing__(self, rule: str) -> Path:
        self[rule] = self._folder / str(len(self))
        options = ["--boards", 0, "--epochs", 2, "--snapshot-every", 7, "--keep-snapshots", 10, *SHORT]
        invoke("simulate", self._bundles[rule], "--out", self[rule], *options)
        return self[rule]


@pytest.fixture(scope="module")
def whole(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> WholeRuns:
    return WholeRuns(bundles, tmp_path_factory.mktemp("whole"))


def cut_off(whole: Path, run: Path, steps: list[int], boards: int = 0) -> None:
    """Make `run` what a host leaves that is killed after the last of these snapshots, as if it had had so many boards."""
    shutil.copytree(whole, run, ignore=shutil.ignore_patterns("summary.json", "bundle"))
    config = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**config, "boards": boards}))
    for path in (run / "snapshots").iterdir():
        if int(path.name.removeprefix("step")) not in steps:
            shutil.rmtree(path)


@pytest.mark.parametrize("rule", slow_after(2, RULES))
@pytest.mark.parametrize(("boards", "steps"), [(0, [7]), (0, []), (3, [7, 14])])
def test_a_resumed_run_has_the_bits_of_a_whole_one(
    whole: WholeRuns, rule: str, boards: int, steps: list[int], tmp_path: Path
) -> None:
    """From the first epoch, from the start as there is no snapshot, and from the second epoch on other boards."""
    run, expected = tmp_path / "run", summary(whole[rule])
    cut_off(whole[rule], run, steps, boards)
    invoke("simulate", "--resume", run)
    found = summary(run)
    for name in ("state_sha256", "accuracy", "loss", "steps"):
        assert found[name] == expected[name], name
    assert records(run) == records(whole[rule])


def test_a_resumed_run_keeps_as_many_snapshots_as_it_was_told_to(whole: WholeRuns, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cut_off(whole["bll"], run, [7])
    config = json.loads((run / "run.json").read_text())
    assert config["keep_snapshots"] == 10
    (run / "run.json").write_text(json.dumps({**config, "keep_snapshots": 1}))
    invoke("simulate", "--resume", run)
    assert [path.name for path in (run / "snapshots").iterdir()] == ["step000000014"]


def test_a_run_without_its_record_is_resumed(whole: WholeRuns, tmp_path: Path) -> None:
    run = tmp_path / "run"
    cut_off(whole["bll"], run, [7, 14], 2)
    (run / "metrics.jsonl").unlink()
    (run / "incarnation.json").write_text("{")
    result = CliRunner().invoke(app, ["simulate", "--resume", str(run)])
    assert result.exit_code == 0, result.output
    assert "metrics.jsonl are gone" in result.stderr
    assert summary(run)["state_sha256"] == summary(whole["bll"])["state_sha256"]


def test_a_killed_host_is_resumed_in_the_middle(bundles: Bundles, tmp_path: Path) -> None:
    epochs = ["--epochs", "6"]
    invoke("simulate", bundles["bll"], "--boards", 0, "--data", "digits", *epochs, "--out", tmp_path / "plain")
    run = tmp_path / "run"
    with HostProcess("simulate", bundles["bll"], run, *epochs, "--boards", "2", "--snapshot-every", "20") as host:
        host.await_epoch()
        host.process.send_signal(signal.SIGKILL)
        host.end()
    assert not (run / "summary.json").exists()
    assert list((run / "boards").glob(".state-*")), "what the killed host's agents had is in the run folder"
    refused = CliRunner().invoke(app, ["simulate", str(bundles["bll"]), "--out", str(run), *SHORT])
    assert refused.exit_code == 9, "what can be resumed is not overwritten by mistake"
    invoke("simulate", "--resume", run)
    assert summary(run)["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]
    assert json.loads((run / "incarnation.json").read_text()) == {"incarnation": 2}
    assert records(run) == records(tmp_path / "plain")
    assert not list((run / "boards").glob(".state-*")), "and goes with the next host"
    assert CliRunner().invoke(app, ["simulate", "--resume", str(run)]).exit_code == 3, "it is whole by now"


def test_a_snapshot_is_taken_by_the_clock_and_the_bits_do_not_depend_on_it(bundles: Bundles, tmp_path: Path) -> None:
    invoke("simulate", bundles["bll, chained"], "--boards", 0, "--out", tmp_path / "plain", *SHORT)
    run = tmp_path / "run"
    invoke(
        "simulate",
        bundles["bll, chained"],
        "--boards",
        2,
        "--snapshot-seconds",
        1e-9,
        "--keep-snapshots",
        3,
        "--out",
        run,
        *SHORT,
    )
    assert summary(run)["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]
    assert sorted(path.name for path in (run / "snapshots").iterdir()) == [f"step{step:09d}" for step in (8, 9, 10)]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["simulate", "--resume", "{run}", "--epochs", "3"], 2, "goes on with the run as it began; leave out --epochs"),
        (["simulate", "--resume", "{run}", "--out", "x"], 2, "leave out --out"),
        (["simulate", "{run}", "--resume", "{run}"], 2, "leave out BUNDLE"),
        (["run", "--resume", "{run}"], 3, "was begun by `edgebll simulate`; resume it with that"),
        (["simulate", "--resume", "{run}/nowhere"], 3, "is not a run folder"),
        (["simulate"], 2, "give the bundle to run, or --resume RUN"),
        (["simulate", "{bundle}"], 2, "give the run folder to write with --out"),
        (["run", "{bundle}", "--out", "x"], 2, "give the inventory of boards with --cluster"),
        (["simulate", "{bundle}", "--out", "x", "--snapshot-seconds", "-1"], 2, "--snapshot-seconds must be"),
        (["simulate", "{bundle}", "--out", "x", "--patience", "-1"], 2, "--patience must be"),
        (["simulate", "{bundle}", "--out", "x", "--keep-snapshots", "0"], 2, "--keep-snapshots must be at least 1, not 0"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(
    bundles: Bundles, whole: WholeRuns, tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    cut_off(whole["bll"], tmp_path / "run", [7])
    known = {"run": tmp_path / "run", "bundle": bundles["bll"]}
    result = CliRunner().invoke(app, [argument.format(**known) for argument in arguments])
    assert result.exit_code == code, result.output
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_run_goes_on_with_its_own_bundle_only(bundles: Bundles, tmp_path: Path) -> None:
    shutil.copytree(bundles["bll"], tmp_path / "bundle")
    invoke("simulate", tmp_path / "bundle", "--boards", 0, "--snapshot-every", 4, "--out", tmp_path / "whole", *SHORT)
    cut_off(tmp_path / "whole", tmp_path / "run", [4])
    shutil.rmtree(tmp_path / "bundle")
    shutil.copytree(bundles["bll, chained"], tmp_path / "bundle")
    result = CliRunner().invoke(app, ["simulate", "--resume", str(tmp_path / "run")])
    assert result.exit_code == 3
    assert "is not the bundle that" in result.output
    assert "began with" in result.output
    assert os.listdir(tmp_path / "run" / "snapshots") == ["step000000004"]
