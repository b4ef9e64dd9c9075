"""Whatever dies, freezes or is interrupted while a pipeline runs that is not to recover: one sentence, a documented code."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pytest
from support.direct_host import agent_process
from support.pipelines import SHORT, HostProcess, await_gone, invoke, one_sentence, summary, write_cluster
from typer.testing import CliRunner

from edgebll.cli.app import app
from edgebll_firmware_host.engines import local_processes as engines


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize(("number", "words"), [(signal.SIGKILL, "by SIGKILL|vanished"), (signal.SIGSTOP, "silent for")])
def test_a_board_that_dies_or_freezes_ends_the_run(
    dense_bundle: Path, tmp_path: Path, which: int, number: signal.Signals, words: str
) -> None:
    """The first board too, whose death breaks the host's data connection as well."""
    with HostProcess(
        "simulate", dense_bundle, tmp_path / "run", "--boards", "2", "--deadline", "1.5", "--patience", "0"
    ) as host:
        host.await_epoch()
        pids = host.boards()
        os.kill(pids[which], number)
        code, errors = host.end()
    assert code == 8, errors
    sentence = one_sentence(errors)
    assert f"board{which}" in sentence
    assert re.search(words, sentence)
    assert not (host.run / "summary.json").exists()
    await_gone(pids)


@pytest.mark.parametrize(
    ("number", "ends_with", "words"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "told to end")]
)
def test_a_host_that_is_told_to_end_ends_its_boards(
    dense_bundle: Path, tmp_path: Path, number: signal.Signals, ends_with: int, words: str
) -> None:
    with HostProcess("simulate", dense_bundle, tmp_path / "run", "--boards", "2") as host:
        host.await_epoch()
        pids = host.boards()
        host.process.send_signal(number)
        code, errors = host.end()
    assert code == ends_with
    hint, end = (line for line in errors.splitlines() if line.startswith("edgebll:"))
    assert end == f"edgebll: {words}"
    assert re.search(rf"begin it again with `edgebll simulate --resume {tmp_path}/run`$", hint)
    assert not (host.run / "summary.json").exists()
    await_gone(pids)


def test_a_killed_host_leaves_no_boards(dense_bundle: Path, tmp_path: Path) -> None:
    with HostProcess("simulate", dense_bundle, tmp_path / "run", "--boards", "2") as host:
        host.await_epoch()
        pids = host.boards()
        assert len(pids) == 2
        host.process.kill()
        host.end()
        await_gone(pids, 9.0)  # sooner than their own deadline of 10 s
    assert not (host.run / "summary.json").exists()


def test_boards_of_a_cluster_outlive_a_dead_neighbour_and_an_interrupted_host(dense_bundle: Path, tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", name="a") as a:
        with agent_process(tmp_path / "b", name="b") as b:
            text = "deadline_s = 1.5\npatience_s = 0.0"
            cluster = write_cluster(tmp_path / "both.toml", {"a": a.endpoint, "b": b.endpoint}, text)
            with HostProcess("run", dense_bundle, tmp_path / "interrupted", "--cluster", str(cluster)) as host:
                host.await_epoch()
                run = json.loads((host.run / "run.json").read_text())["run"]
                busy = invoke("devices", "--cluster", cluster)
                assert busy.count(f"in the run {run}") == busy.count(" busy ") == 2
                assert [row["busy"] for row in json.loads(invoke("devices", "--cluster", cluster, "--json"))] == [run, run]
                host.process.send_signal(signal.SIGINT)
                assert host.end()[0] == 130
            with HostProcess("run", dense_bundle, tmp_path / "bereaved", "--cluster", str(cluster)) as host:
                host.await_epoch()
                b.process.kill()
                code, errors = host.end()
            assert code == 8, errors
            assert f"board b at {b.endpoint} vanished: the connection broke" in one_sentence(errors)
        cluster = write_cluster(tmp_path / "one.toml", {"a": a.endpoint})
        assert [row["board"] for row in json.loads(invoke("devices", "--cluster", cluster, "--json"))] == ["a"]
        invoke("run", dense_bundle, "--cluster", cluster, "--out", tmp_path / "after", *SHORT)
        invoke("simulate", dense_bundle, "--boards", 0, "--out", tmp_path / "plain", *SHORT)
    assert summary(tmp_path / "after")["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]


def test_an_agent_that_cannot_start_says_why(dense_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "_AGENT", "raise SystemExit('no luck today')")
    result = CliRunner().invoke(app, ["simulate", str(dense_bundle), "--boards", "1", "--out", str(tmp_path / "run"), *SHORT])
    assert result.exit_code == 8
    assert "the agent board0 did not start; its log is" in result.output
    assert "ends with: no luck today" in result.output


def test_a_board_that_cannot_do_its_part_fails_the_run_with_its_own_words(dense_bundle: Path, tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", name="orin") as a:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": a.endpoint})
        objects = tmp_path / "a" / "objects"
        objects.rename(tmp_path / "elsewhere")
        objects.write_text("a file where the board's folder was")
        result = CliRunner().invoke(
            app, ["run", str(dense_bundle), "--cluster", str(cluster), "--out", str(tmp_path / "run"), *SHORT]
        )
    assert result.exit_code == 8, result.output
    assert f"board a at {a.endpoint}: cannot write" in result.output
    assert not (tmp_path / "run" / "summary.json").exists()
