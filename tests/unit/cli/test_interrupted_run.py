"""What an interrupted command says of its run: how to go on, from where, and nothing where there is nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgebll.cli.interrupted_run import hint_on_interrupt
from edgebll.kernel.runs import run_folder
from edgebll.kernel.runs.run_folder import RunFolder


def said(run: Path, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(KeyboardInterrupt), hint_on_interrupt(run):
        raise KeyboardInterrupt
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "line"), [("train", "train --resume --out"), ("simulate", "simulate --resume"), ("run", "run --resume")]
)
@pytest.mark.parametrize("saved", ["checkpoint", "snapshots"])
def test_a_run_goes_on_from_what_is_saved_or_from_its_beginning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str, line: str, saved: str
) -> None:
    run = tmp_path / "a run"
    RunFolder.create(run, {"kind": kind}).close()
    (run / saved).mkdir()
    again = "edgebll: the run is not whole, and nothing of its training is saved yet; begin it again with "
    assert said(run, capsys) == f"{again}`edgebll {line} '{run}'`\n"
    (run / saved / "step5").write_text("")
    assert said(run, capsys) == f"edgebll: the run is not whole; go on with `edgebll {line} '{run}'`\n"
    (run / "summary.json").write_text(json.dumps({}))
    assert said(run, capsys) == ""


def test_nothing_is_said_where_there_is_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(tmp_path / "nowhere", capsys) == said(tmp_path, capsys) == ""


def test_a_folder_of_a_run_that_did_not_begin_is_not_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(run_folder, "write_record", interrupted)
    with pytest.raises(KeyboardInterrupt):
        RunFolder.create(tmp_path / "run", {})
    assert not (tmp_path / "run").exists()
