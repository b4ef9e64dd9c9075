"""Requests to the host of a run: refused at once where nobody could answer."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.errors import BundleError, LinkTimeout
from edgebll.plain import to_plain
from edgebll.run_guard import SUMMARY
from edgebll_firmware_host.desk import DRAIN, ENDED, REQUESTS, STALE_S, STATUS, BoardStatus, Request, Status, ask

BOARD = BoardStatus("a", "tcp://127.0.0.1:7", "working", ("block0",), 0.1)


def said(run: Path, phase: str, age_s: float) -> None:
    (run / STATUS).write_text(json.dumps(to_plain(Status(time.time() - age_s, phase, 1, 1, 2, -1, 0, (BOARD,)))))


def test_a_run_that_is_over_is_not_asked(tmp_path: Path) -> None:
    said(tmp_path, ENDED, 0.0)
    with pytest.raises(BundleError, match="is over, so there is nothing to change; if it is not whole, --resume"):
        ask(tmp_path, Request(DRAIN, "a"), 100.0)
    assert not (tmp_path / REQUESTS).exists()


def test_nor_is_a_host_that_is_gone(tmp_path: Path) -> None:
    said(tmp_path, "running", STALE_S + 2.0)
    with pytest.raises(LinkTimeout, match="has written nothing for 12 s; if it is gone, resume the run"):
        ask(tmp_path, Request(DRAIN, "a"), 100.0)


def test_status_tells_a_whole_run_from_one_that_was_stopped(tmp_path: Path) -> None:
    said(tmp_path, ENDED, 0.0)
    assert "stopped, --resume goes on, step 2" in CliRunner().invoke(app, ["cluster", "status", str(tmp_path)]).output
    (tmp_path / SUMMARY).write_text("{}")
    assert "ended, step 2" in CliRunner().invoke(app, ["cluster", "status", str(tmp_path)]).output


def test_status_says_that_the_host_is_silent(tmp_path: Path) -> None:
    command = ["cluster", "status", str(tmp_path)]
    for age_s, gone in ((0.0, False), (STALE_S + 2.0, True)):
        said(tmp_path, "running", age_s)
        assert ("has written nothing for 12 s: resume the run" in CliRunner().invoke(app, command).output) is gone
        assert json.loads(CliRunner().invoke(app, [*command, "--json"]).output)["host_gone"] is gone


def test_a_board_the_run_does_not_know_needs_an_endpoint(tmp_path: Path) -> None:
    said(tmp_path, "running", 0.0)
    result = CliRunner().invoke(app, ["cluster", "add", str(tmp_path), "b"])
    assert result.exit_code == 2
    assert "knows no board 'b', only a; say where it is with --endpoint" in result.output
