"""`edgebll reproduce`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.recipes import write_recipe
from typer.testing import CliRunner, Result

from edgebll.cli.app import app
from edgebll.cli.commands import reproduce as cli
from edgebll.kernel.errors import ConfigError
from edgebll.learning.reproduce import sweep
from edgebll.learning.reproduce.recipe_file import recipe_names
from edgebll.learning.reproduce.runner import Work
from edgebll.learning.training import torch_device as placement


def call(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["reproduce", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_tables_are_listed() -> None:
    entries = json.loads(call("--list", "--json").stdout)
    assert [entry["table"] for entry in entries] == recipe_names()
    table = call("--list").stdout
    assert all(name in table for name in recipe_names())
    assert {entry["table"]: entry["runs"] for entry in entries}["bll-table1"] == 12


def test_tables_are_listed_with_how_long_they_take(tmp_path: Path) -> None:
    """Where that is known: 72 runs of 40 minutes each are 48 hours of a core."""
    folder = tmp_path / "bll-table1" / "medium"
    folder.mkdir(parents=True)
    cell = {"setting": "CIFAR-10 ResNet-50", "rule": "BP", "blocks": 1, "seconds": 2400.0}
    (folder / "step_times.json").write_text(json.dumps({"cells": [cell]}))
    options: list[str | Path] = ["--list", "--scale", "medium", "--out", tmp_path]
    entries = {entry["table"]: entry for entry in json.loads(call(*options, "--json").stdout)}
    assert entries["bll-table1"]["expected_seconds"] == 72 * 2400
    assert entries["bll-blocks"]["expected_seconds"] is None
    (line,) = [line for line in call(*options).stdout.splitlines() if "bll-table1" in line]
    assert line.split()[-3:] == ["72", "40.0", "48.0"]


def test_a_table_is_run_reported_and_not_run_again(tmp_path: Path) -> None:
    recipe, out = write_recipe(tmp_path), tmp_path / "out"
    options: list[str | Path] = [recipe, "--out", out, "--parallel", "1"]
    assert "not run yet" not in call(*options, "--only", "local").stdout
    text = (out / "RESULTS.md").read_text("utf-8")
    assert "## Tiny table (small scale)" in text
    assert "3 of 3 runs are trained" in text
    assert "Trained on the processor. Machine: " in text
    again = call(*options, "--json")
    document = json.loads(again.stdout)
    assert (document["left"], document["done"], document["report"]) == (0, 3, str(out / "RESULTS.md"))
    assert "begins" not in again.stderr
    accuracies = {line["rule"]: line["mean"] for line in document["lines"]}
    assert accuracies["BP"] > 30
    listed = call(*options, "--list").stdout
    assert listed.count("done") == 3
    assert f"{accuracies['BP']:.2f}" in listed


@pytest.mark.parametrize("compiled", [None, False])
def test_full_scale_is_trained_on_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compiled: bool | None) -> None:
    """Where there is one: then compiled and with channels last, one run at a time. Nothing is trained here."""
    told: list[Work] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(placement, "why_no_compiler", lambda _: "")
    monkeypatch.setattr(sweep, "do", lambda work: told.append(work) or (list(work.cells), {}))
    options = [] if compiled is None else ["--no-compile"]
    recipe = write_recipe(tmp_path)
    call(recipe, "--out", tmp_path / "out", "--scale", "full", *options)
    call(recipe, "--out", tmp_path / "out", "--scale", "full", "--device", "cpu")
    call(recipe, "--out", tmp_path / "out")
    hows = [{name: value for name, value in work.how.items() if name != "threads"} for work in told]
    on_cpu = {"device": "cpu", "compile": False, "channels_last": None}
    assert hows == [{"device": "cuda", "compile": compiled is None, "channels_last": True}, on_cpu, on_cpu]
    assert told[0].parallel == 1


def test_a_gpu_without_a_compiler_is_used_uncompiled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(placement, "why_no_compiler", lambda _: "the package triton is missing")
    assert cli._compiles(None, "cuda") is False
    assert "steps are not compiled, for the package triton is missing" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="cannot be compiled, for the package triton is missing"):
        cli._compiles(True, "cuda")


def test_time_runs_out_with_a_way_to_go_on(tmp_path: Path) -> None:
    """The report holds what is done; the exit code is 0."""
    recipe, out = write_recipe(tmp_path), tmp_path / "out"
    result = call(recipe, "--out", out, "--minutes", "1e-9")
    assert "the time is up with 3 of 3 runs not whole; give the same command to go on" in result.stderr
    assert "0 of 3 runs of tiny, small scale, are whole" in result.stdout
    assert not (out / "RESULTS.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give a table: backlink-table1, "),
        (["table9"], "there is no table 'table9'"),
        (["bll-table1", "--scale", "huge"], "the scale must be full, medium or small, not 'huge'"),
        (["bll-table1", "--seeds", "0"], "the number of seeds must be at least 1, not 0"),
        (["bll-table1", "--minutes", "0"], "the minutes must be above 0, not 0"),
        (["bll-table1", "--parallel", "0"], "the number of trainings at once must be at least 1"),
        (
            ["bll-table1", "--only", "dgl"],
            "the table bll-table1 at small scale has no rule 'dgl'; it has BP, Pred-Sim, BLL, BLL, batch",
        ),
    ],
)
def test_wrong_options_are_refused(arguments: list[str], message: str) -> None:
    assert message in call(*arguments, code=2).stderr


def test_missing_data_are_told_with_how_to_get_them(tmp_path: Path) -> None:
    result = call("backlink-table1", "--data-dir", tmp_path, "--out", tmp_path / "out", code=4)
    assert "get it with `edgebll data fetch cifar-10`" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_reason_that_several_runs_share_is_told_once(tmp_path: Path) -> None:
    far = '[[settings]]\nname = "far MLP"\nblocks = [2, 3]\ntrain = { data = "cifar-10", network = "mlp" }\n\n'
    recipe = write_recipe(tmp_path, ('[[rules]]\nname = "BP"', far + '[[rules]]\nname = "BP"'))
    options: list[str | Path] = [recipe, "--list", "--data-dir", tmp_path, "--out", tmp_path / "out"]
    listed = call(*options)
    assert listed.stderr.count("the data set cifar-10 was not found") == 1
    assert "edgebll: 3 runs are skipped: the data set cifar-10 was not found" in listed.stderr
    assert (listed.stdout.count("skipped"), listed.stdout.count("cifar-10 was")) == (3, 0)
    reasons = [run.get("reason", "") for run in json.loads(call(*options, "--json").stdout)]
    assert sum("was not found" in (reason or "") for reason in reasons) == 3
