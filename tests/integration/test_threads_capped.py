"""Boards that are asked for more threads than they have processors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.board_runs import run_alone
from support.chaos_boards import make_kinds
from support.direct_host import agent_process
from support.pipelines import invoke, summary, write_cluster

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256

KINDS = make_kinds(20, 5)
#: Of a command: give it one processor.
ON_ONE = (sys.executable, "-c", "import os, sys; os.sched_setaffinity(0, {0}); os.execv(sys.argv[1], sys.argv[1:])")
needs_two = pytest.mark.skipif(not {0, 1} <= os.sched_getaffinity(0), reason="this machine has not two processors")


def host(bundle: Bundle, endpoint: str, folder: Path, more: str = "") -> str:
    """What a host says that runs a bundle on one board, which is asked for four threads."""
    cluster = write_cluster(folder / "c.toml", {"a": endpoint})
    cluster.write_text(f"{cluster.read_text()}threads = 4\n{more}\n")
    (folder / "kinds.json").write_text(json.dumps(KINDS))
    arguments = map(str, (bundle.path, folder / "run", cluster, folder / "kinds.json", 0.0))
    command, tests = [sys.executable, "-m", "support.chaos_host", *arguments], Path(__file__).parents[1]
    return subprocess.run(command, capture_output=True, text=True, cwd=tests, timeout=60, check=True).stdout


def computed(folder: Path) -> list[tuple[int, int]]:
    """Threads used and asked for, of each block by the run's record."""
    blocks = json.loads((folder / "run/computing.json").read_text())["blocks"]
    return [(how["threads"], how["asked"]) for how in blocks.values()]


@needs_two
def test_threads_are_capped_and_stay_so_on_a_board_with_more_processors(two_blocks: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", prefix=ON_ONE) as agent:
        said = host(two_blocks, agent.endpoint, tmp_path)
        assert "board a has 1 processor and so uses 1 of the 4 threads asked for" in said
        assert computed(tmp_path) == [(1, 4), (1, 4)]
    with agent_process(tmp_path / "b") as agent:
        said = host(two_blocks, agent.endpoint, tmp_path)  # goes on from the last snapshot
    assert "uses 1 of the 4 threads asked for, as its run began" in said
    assert "computed by" not in said
    assert f"end {state_sha256(run_alone(two_blocks, KINDS))}" in said


@needs_two
def test_who_insists_is_warned(two_blocks: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", prefix=ON_ONE) as agent:
        said = host(two_blocks, agent.endpoint, tmp_path, "cap_threads = false")
    assert "board a has 1 processor for 4 threads, as cap_threads = false says" in said
    assert computed(tmp_path) == [(4, 4), (4, 4)]
    assert "4 threads on 1 processors wait for each other" in (tmp_path / "a/agent.log").read_text()


@needs_two
def test_a_run_in_one_process_uses_as_many_as_a_board_would(dense_bundle: Path, tmp_path: Path) -> None:
    line: list[str | Path] = [*ON_ONE, sys.executable, "-c", "from edgebll.cli import main; main()", "simulate", dense_bundle]
    line += ["--boards", "0", "--threads", "4", "--data", "digits", "--limit", "160", "--out", tmp_path / "one"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    assert "edgebll: this host has 1 processor and so uses 1 of the 4 threads asked for" in done.stderr
    assert json.loads((tmp_path / "one/run.json").read_text())["threads_used"] == 1
    invoke("simulate", dense_bundle, *line[-8:-2], "--boards", 0, "--threads", 1, "--out", tmp_path / "two")
    assert summary(tmp_path / "one")["state_sha256"] == summary(tmp_path / "two")["state_sha256"]
