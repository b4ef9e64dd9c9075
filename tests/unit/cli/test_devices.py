"""`edgebll devices`: which boards answer, which are busy, and what is wrong with each of the others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from support.fake_board import FakeBoard, welcome
from support.pipelines import write_cluster
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll.kernel.wire import Failure, Hello, Message
from edgebll.kernel.wire.busy_reply import busy_with, run_of

RUN = "3b1f0c8a"


def busy(message: Message) -> Iterable[Message] | None:
    """A board that works for another host."""
    return [Failure(message.run, 7, f"board fake {busy_with(RUN)}")] if isinstance(message, Hello) else None


def ending(message: Message) -> Iterable[Message] | None:
    """A board that refuses for another reason."""
    return [Failure(message.run, 7, "board fake is about to end")] if isinstance(message, Hello) else None


def test_the_reason_of_each_board_is_told(tmp_path: Path) -> None:
    with FakeBoard() as good, FakeBoard(busy) as taken, FakeBoard(ending) as leaving:
        endpoints = {"a": good.endpoint, "b": taken.endpoint, "c": leaving.endpoint, "d": "tcp://127.0.0.1:9"}
        cluster = write_cluster(tmp_path / "cluster.toml", endpoints, "deadline_s = 1.0")
        result = CliRunner().invoke(app, ["devices", "--cluster", str(cluster)])
        rows = json.loads(CliRunner().invoke(app, ["devices", "--cluster", str(cluster), "--json"]).stdout)
    assert result.exit_code == 7
    assert result.stdout.count("problem") == 2
    assert f"in the run {RUN}" in next(line for line in result.stdout.splitlines() if " busy " in line)
    first, second = result.stderr.splitlines()
    assert first.startswith("edgebll: board c at ")
    assert "is about to end" in first
    assert second.startswith("edgebll: board d at tcp://127.0.0.1:9 did not answer")
    assert [next(iter(row.keys() & {"runtimes", "busy", "problem"})) for row in rows] == [
        "runtimes",
        "busy",
        "problem",
        "problem",
    ]
    assert rows[1]["busy"] == RUN


def test_boards_that_are_busy_are_no_problem(tmp_path: Path) -> None:
    with FakeBoard(busy) as board:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": board.endpoint})
        result = CliRunner().invoke(app, ["devices", "--cluster", str(cluster)])
    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.parametrize("run", ["3b1f", "a run", "Größe"])
def test_what_boards_say_is_what_hosts_understand(run: str) -> None:
    assert run_of(f"board a at tcp://127.0.0.1:7: {busy_with(run)}") == run
    assert run_of(f"board a has no session in the run {run!r}") is None


def test_limits_of_a_board_are_shown_beside_what_its_machine_has(tmp_path: Path) -> None:
    own: dict[str, Any] = {
        "cores": 4,
        "cpus": 0.5,
        "memory_limit_bytes": 300 << 20,
        "memory_limited_by": "the control group /a",
    }
    script: dict[type[Message], list[Message]] = {Hello: [welcome(**own, memory_free_bytes=200 << 20)]}
    with FakeBoard(lambda message: script.get(type(message))) as board, FakeBoard() as older:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": board.endpoint, "b": older.endpoint})
        result = CliRunner().invoke(app, ["devices", "--cluster", str(cluster)], env={"COLUMNS": "300"})
        rows = json.loads(CliRunner().invoke(app, ["devices", "--cluster", str(cluster), "--json"]).stdout)
    limited, unlimited = (line for line in result.stdout.splitlines() if "tcp://" in line)
    assert "0.5 of 4" in limited
    assert "0.29 of 1.0" in limited
    assert " of " not in unlimited
    assert (rows[0]["memory_limit_bytes"], rows[0]["memory_free_bytes"]) == (300 << 20, 200 << 20)
    assert rows[0]["memory_limited_by"] == "the control group /a"
