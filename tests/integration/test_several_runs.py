"""Several runs at the same boards, as commands: a second one while the first goes on, and one after another."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import AgentProcess, agent_process
from support.pipelines import SHORT, HostProcess, invoke, one_sentence, summary, write_cluster

from edgebll.learning import SGD, Greedy
from edgebll.networks import make_network
from edgebll_export import export_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundles") / "mlp"
    network = make_network("mlp", num_blocks=2, num_classes=10, input_shape=(1, 8, 8), seed=0)
    export_bundle(network, rule=Greedy(), optimizer=SGD(), batch_size=16, path=path)
    return path


@pytest.fixture
def boards(tmp_path: Path) -> Iterator[tuple[list[AgentProcess], Path]]:
    with agent_process(tmp_path / "left", name="left") as left, agent_process(tmp_path / "right", name="right") as right:
        yield [left, right], write_cluster(tmp_path / "c.toml", {"left": left.endpoint, "right": right.endpoint})


def run(bundle: Path, cluster: Path, out: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from edgebll.cli import main; main()", "run", str(bundle), "--cluster", str(cluster)]
    return subprocess.run([*line, "--out", str(out), *SHORT], capture_output=True, text=True, timeout=120, check=False)


def test_a_second_run_is_refused_while_the_first_goes_on_and_can_begin_when_it_is_over(
    bundle: Path, boards: tuple[list[AgentProcess], Path], tmp_path: Path
) -> None:
    agents, cluster = boards
    with HostProcess("run", bundle, tmp_path / "first", "--cluster", str(cluster)) as first:
        first.await_epoch()
        refused = run(bundle, cluster, tmp_path / "second")
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
    invoke("run", bundle, "--cluster", cluster, "--out", tmp_path / "third", *SHORT)
    assert all(agent.process.poll() is None for agent in agents)


def test_runs_one_after_another_need_no_restart_and_give_the_same_bits(
    bundle: Path, boards: tuple[list[AgentProcess], Path], tmp_path: Path
) -> None:
    agents, cluster = boards
    invoke("simulate", bundle, "--boards", 0, "--out", tmp_path / "alone", *SHORT)
    for name in ("first", "second", "third"):
        invoke("run", bundle, "--cluster", cluster, "--out", tmp_path / name, *SHORT)
        assert summary(tmp_path / name)["state_sha256"] == summary(tmp_path / "alone")["state_sha256"]
        assert summary(tmp_path / name)["recoveries"] == []
    assert all(agent.end() == 0 for agent in agents)
