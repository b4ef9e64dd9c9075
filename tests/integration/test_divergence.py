"""A run whose loss is no number any more ends on boards as in one process: same sentence, same code, a run folder in order."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.direct_host import agent_process
from support.pipelines import SHORT, invoke, summary, write_cluster
from typer.testing import CliRunner

from edgebll.cli.app import app

WILD = ["--lr", "1e38", "--schedule", "constant", *SHORT]
WORDS = r"the loss of (block\d) is not a number any more at step (\d+); run again with a smaller --lr, for --resume would come"


def ended(*arguments: object) -> tuple[str, int]:
    """The block and the step at which a command says that it cannot go on."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    found = re.search(WORDS, result.stderr.splitlines()[-1])
    assert found, result.stderr
    return found[1], int(found[2])


def test_boards_end_where_one_process_does_and_so_does_a_resumed_run(dense_bundle: Path, tmp_path: Path) -> None:
    run = tmp_path / "boards"
    plain = ended("simulate", dense_bundle, "--boards", 0, "--out", tmp_path / "plain", *WILD)
    trained = ["--network", "mlp", "--blocks", 2, "--rule", "greedy", "--batch-size", 16, "--epochs", 1]
    assert ended("train", "--out", tmp_path / "trained", *trained, *WILD) == plain
    assert ended("simulate", dense_bundle, "--boards", 2, "--out", run, "--snapshot-every", 1, *WILD) == plain

    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert {(line["block"], line["step"] + 1) for line in lines if line["loss"] is None} >= {plain}
    assert not (run / "summary.json").exists()
    taken = [int(path.name.removeprefix("step")) for path in (run / "snapshots").glob("step*")]
    assert all(step < plain[1] for step in taken), "no snapshot has a step in it whose loss is no number"
    assert ended("simulate", "--resume", run) == plain


def test_boards_of_a_cluster_are_let_go_and_take_the_next_run(dense_bundle: Path, tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", name="a") as a, agent_process(tmp_path / "b", name="b") as b:
        cluster = write_cluster(tmp_path / "cluster.toml", {"a": a.endpoint, "b": b.endpoint})
        ended("run", dense_bundle, "--cluster", cluster, "--out", tmp_path / "run", *WILD)
        found = json.loads(invoke("devices", "--cluster", cluster, "--json"))
        assert [row.get("busy") for row in found] == [None, None]
        invoke("run", dense_bundle, "--cluster", cluster, "--out", tmp_path / "run", "--overwrite", *SHORT)
    invoke("simulate", dense_bundle, "--boards", 0, "--out", tmp_path / "plain", *SHORT)
    assert summary(tmp_path / "run")["state_sha256"] == summary(tmp_path / "plain")["state_sha256"]
