"""Requests to the host of a run: refused at once where nobody could answer."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.errors import BundleError, LinkTimeout
from edgebll.kernel.keys import make_key_pair
from edgebll.kernel.runs.run_lock import SUMMARY, lock_folder
from edgebll.kernel.support.plain_dataclasses import to_plain
from edgebll_firmware_host.inventory import BoardEntry
from edgebll_firmware_host.run_files import control_client as asking
from edgebll_firmware_host.run_files.control_client import GONE, SILENT, STALE_S, WORKING, request_change
from edgebll_firmware_host.run_files.status_files import (
    DRAIN,
    ENDED,
    REQUESTS,
    STATUS,
    BoardStatus,
    Request,
    Status,
    this_machine,
)

KEY = make_key_pair().public
BOARD = BoardStatus("a", "tcp://127.0.0.1:7", "working", ("block0",), 0.1)


def said(run: Path, phase: str, age_s: float, machine: str | None = None, clock_off_s: float = 0.0) -> None:
    """The host wrote its status `age_s` ago, by a wall clock that is off."""
    where = (this_machine() if machine is None else machine, time.monotonic() - age_s)
    status = Status(time.time() - age_s + clock_off_s, phase, 4711, 1, 2, -1, 0, (BOARD,), *where)
    partial = run / "status.partial"
    partial.write_text(json.dumps(to_plain(status)))
    partial.replace(run / STATUS)


@pytest.fixture
def host(tmp_path: Path) -> Iterator[int]:
    """A host that has locked the run; its lock."""
    lock = lock_folder(tmp_path)
    yield lock
    with contextlib.suppress(OSError):
        os.close(lock)


def status(run: Path) -> tuple[str, dict]:
    """What `cluster status` says, and what it says to programs."""
    command = ["cluster", "status", str(run)]
    return CliRunner().invoke(app, command).output, json.loads(CliRunner().invoke(app, [*command, "--json"]).output)


def test_a_run_that_is_over_is_not_asked(tmp_path: Path) -> None:
    said(tmp_path, ENDED, 0.0)
    with pytest.raises(BundleError, match="is over, so there is nothing to change; if it is not whole, --resume"):
        request_change(tmp_path, Request(DRAIN, "a"), 100.0)
    assert not (tmp_path / REQUESTS).exists()


def test_nor_is_a_host_that_is_gone(tmp_path: Path) -> None:
    """It was killed this very moment: its lock is free."""
    said(tmp_path, "running", 0.0)
    with pytest.raises(LinkTimeout, match=r"no host works on .* any more \(it was process 4711\); go on with --resume"):
        request_change(tmp_path, Request(DRAIN, "a"), 100.0)
    assert not (tmp_path / REQUESTS).exists()


def test_nor_is_one_that_has_been_silent_for_long(tmp_path: Path, host: int) -> None:
    said(tmp_path, "running", STALE_S + 2.0)
    with pytest.raises(
        LinkTimeout, match=r"process 4711\) has been silent for 12 s, since \d{4}-.*; if it is frozen, let it go on"
    ):
        request_change(tmp_path, Request(DRAIN, "a"), 100.0)


def test_one_that_is_killed_while_it_is_asked_is_not_waited_for(tmp_path: Path, host: int) -> None:
    said(tmp_path, "running", 0.0)
    (tmp_path / REQUESTS).mkdir()
    death = threading.Timer(0.1, os.close, [host])
    death.start()
    with pytest.raises(LinkTimeout, match="no host works on"):
        request_change(tmp_path, Request(DRAIN, "a"), 100.0)
    death.join()
    assert not list((tmp_path / REQUESTS).iterdir())


def test_who_waits_for_a_host_is_told_so(tmp_path: Path, host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_LONG_S", 0.1)
    said(tmp_path, "running", 3.0)
    (tmp_path / REQUESTS).mkdir()
    told: list[str] = []
    with pytest.raises(LinkTimeout, match=r"has not answered within 0\.3 s"):
        request_change(tmp_path, Request(DRAIN, "a"), 0.3, told.append)
    (sentence,) = told
    assert "was last heard of 3 s ago; waiting for it, 0.3 s at most" in sentence
    assert not list((tmp_path / REQUESTS).iterdir())


def test_status_tells_a_whole_run_from_one_that_was_stopped(tmp_path: Path) -> None:
    said(tmp_path, ENDED, 0.0)
    assert "stopped, --resume goes on, step 2" in CliRunner().invoke(app, ["cluster", "status", str(tmp_path)]).output
    (tmp_path / SUMMARY).write_text("{}")
    assert "ended, step 2" in CliRunner().invoke(app, ["cluster", "status", str(tmp_path)]).output


def test_status_says_that_the_host_is_silent(tmp_path: Path, host: int) -> None:
    for age_s, state in ((0.0, WORKING), (STALE_S - 2.0, WORKING), (STALE_S + 2.0, SILENT)):
        said(tmp_path, "running", age_s)
        shown, found = status(tmp_path)
        assert ("(process 4711) has been silent for 12 s, since 20" in shown) is (state == SILENT)
        assert "running, step 2" in shown
        assert (found["host"], found["host_gone"]) == (state, False)


def test_status_says_at_once_that_the_host_is_gone(tmp_path: Path) -> None:
    said(tmp_path, "running", 0.0)
    shown, found = status(tmp_path)
    assert "its host (process 4711) is gone, --resume goes on, step 2" in shown
    assert (found["host"], found["host_gone"]) == (GONE, True)


def test_a_lock_tells_nothing_of_a_host_on_another_machine(tmp_path: Path) -> None:
    for age_s, state in ((0.0, WORKING), (STALE_S + 2.0, SILENT)):
        said(tmp_path, "running", age_s, "another")
        assert status(tmp_path)[1]["host"] == state


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_clock_that_is_an_hour_off_calls_no_healthy_host_silent_and_no_frozen_one_healthy(
    tmp_path: Path, host: int, off_s: float
) -> None:
    for age_s, state in ((0.0, WORKING), (STALE_S + 2.0, SILENT)):
        said(tmp_path, "running", age_s, clock_off_s=off_s)
        shown, found = status(tmp_path)
        assert found["host"] == state
        assert found["age_seconds"] == pytest.approx(age_s, abs=1.0)
        assert ("has been silent for 12 s" in shown) is (state == SILENT)


@pytest.mark.parametrize("off_s", [-3600.0, 3600.0])
def test_a_host_on_another_machine_is_watched_where_clocks_disagree(tmp_path: Path, off_s: float) -> None:
    said(tmp_path, "running", 0.0, "another", off_s)
    assert asking.view_run(tmp_path).host == SILENT, "nothing new comes"
    again = threading.Timer(0.3, said, (tmp_path, "running", 0.0, "another", off_s + 1.0))
    again.start()
    assert asking.view_run(tmp_path).host == WORKING
    again.join()


def test_a_board_that_is_added_again_is_what_it_was(tmp_path: Path, host: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its key, threads and runtime, whatever its address is now; unless told otherwise."""
    known = BoardStatus("a", "tcp://10.1.2.3:7101", "drained", (), None, KEY, 4, "tensorrt")
    status = Status(time.time(), "running", 4711, 1, 2, -1, 0, (known,), this_machine(), time.monotonic())
    (tmp_path / STATUS).write_text(json.dumps(to_plain(status)))
    asked: list[Request] = []
    monkeypatch.setattr(asking, "request_change", lambda run, request, *_: asked.append(request) or "done")
    for options in ([], ["--endpoint", "tcp://10.1.2.4:7101"], ["--threads", "2", "--runtime", "onnxruntime"]):
        result = CliRunner().invoke(app, ["cluster", "add", str(tmp_path), "a", *options])
        assert result.exit_code == 0, result.output
    assert [request.entry for request in asked] == [
        BoardEntry("a", "tcp://10.1.2.3:7101", KEY, threads=4, runtime="tensorrt"),
        BoardEntry("a", "tcp://10.1.2.4:7101", KEY, threads=4, runtime="tensorrt"),
        BoardEntry("a", "tcp://10.1.2.3:7101", KEY, threads=2),
    ]


def test_a_board_the_run_does_not_know_needs_an_endpoint(tmp_path: Path) -> None:
    said(tmp_path, "running", 0.0)
    result = CliRunner().invoke(app, ["cluster", "add", str(tmp_path), "b"])
    assert result.exit_code == 2
    assert "knows no board 'b', only a; say where it is with --endpoint" in result.output
