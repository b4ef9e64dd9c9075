"""Several runs at the same boards, as commands: a second one while the first goes on, and one after another."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import AgentProcess, agent_process
from support.pipelines import SHORT, HostProcess, invoke, one_sentence, records, summary, write_cluster
from typer.testing import CliRunner

from edgebll.cli.app import app


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[tuple[list[AgentProcess], Path]]:
    with agent_process(tmp_path / "left", name="left") as left, agent_process(tmp_path / "right", name="right") as right:
        yield [left, right], write_cluster(tmp_path / "c.toml", {"left": left.endpoint, "right": right.endpoint})


def run(dense_bundle: Path, cluster: Path, out: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from edgebll.cli import main; main()", "run", str(dense_bundle), "--cluster", str(cluster)]
    return subprocess.run([*line, "--out", str(out), *SHORT], capture_output=True, text=True, timeout=120, check=False)


def test_a_second_run_is_refused_while_the_first_goes_on_and_can_begin_when_it_is_over(
    dense_bundle: Path, boards: tuple[list[AgentProcess], Path], tmp_path: Path
) -> None:
    agents, cluster = boards
    with HostProcess("run", dense_bundle, tmp_path / "first", "--cluster", str(cluster)) as first:
        first.await_epoch()
        refused = run(dense_bundle, cluster, tmp_path / "second")
        assert (refused.returncode, refused.stdout) == (7, "")
        name = json.loads((tmp_path / "first" / "run.json").read_text())["run"]
        assert re.fullmatch(
            rf"edgebll: board (left|right) at tcp://127\.0\.0\.1:\d+: works for another host, in the run '{name}'; "
            "wait until that ends, or stop it",
            one_sentence(refused.stderr),
        )
        first.await_epoch()  # the first one is none the worse
        first.process.send_signal(signal.SIGINT)
        assert first.end()[0] == 130
    assert not (tmp_path / "second" / "summary.json").exists()
    invoke("run", dense_bundle, "--cluster", cluster, "--out", tmp_path / "third", *SHORT)
    assert all(agent.process.poll() is None for agent in agents)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_is_resumed_with_another_inventory(dense_bundle: Path, tmp_path: Path, threads: int) -> None:
    """After a snapshot in the middle; the first inventory is not there any more, nor is the board's name."""
    run = tmp_path / "run"
    with agent_process(tmp_path / "board") as agent:
        first = write_cluster(tmp_path / "first.toml", {"first": agent.endpoint})
        invoke("run", dense_bundle, "--cluster", first, "--snapshot-every", 4, "--out", run, *SHORT)
        expected, recorded = summary(run)["state_sha256"], records(run)
        for path in (run / "bundle", run / "snapshots" / "step000000008"):
            shutil.rmtree(path)
        for path in (run / "summary.json", first):
            path.unlink()
        second = write_cluster(tmp_path / "second.toml", {"second": agent.endpoint})
        with second.open("a") as stream:
            stream.write(f"threads = {threads}\n")
        result = CliRunner().invoke(app, ["run", "--resume", str(run), "--cluster", str(second)])
    assert result.exit_code == 0, result.output
    if threads == 1:
        assert summary(run)["state_sha256"] == expected
    assert summary(run)["computed_otherwise"] == ([] if threads == 1 else ["block0", "block1"])
    assert ("block1 is computed by onnxruntime" in result.stderr) == (threads == 2), "such a run need not have the same bits"
    assert summary(run)["placement"] == {"second": ["block0", "block1"]}
    assert records(run) == recorded


def test_runs_one_after_another_need_no_restart_and_give_the_same_bits(
    dense_bundle: Path, boards: tuple[list[AgentProcess], Path], tmp_path: Path
) -> None:
    agents, cluster = boards
    invoke("simulate", dense_bundle, "--boards", 0, "--out", tmp_path / "alone", *SHORT)
    for name in ("first", "second", "third"):
        invoke("run", dense_bundle, "--cluster", cluster, "--out", tmp_path / name, *SHORT)
        assert summary(tmp_path / name)["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]
        assert summary(tmp_path / name)["recoveries"] == []
    assert all(agent.end() == 0 for agent in agents)
