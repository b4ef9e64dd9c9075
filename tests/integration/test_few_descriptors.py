"""Hosts that may have few files open: they raise their own limit, or say what they need before anything starts."""

from __future__ import annotations

import contextlib
import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fake_board import FakeBoard
from support.pipelines import one_sentence, write_cluster


def edgebll(*arguments: object, soft: int, hard: int) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", "from edgebll.cli import main; main()", *map(str, arguments)]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    return subprocess.run(line, capture_output=True, text=True, timeout=60, preexec_fn=limit)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Path]:
    """The inventory of 16 boards that answer."""
    with contextlib.ExitStack() as stack:
        boards = {f"b{index}": stack.enter_context(FakeBoard()).endpoint for index in range(16)}
        yield write_cluster(tmp_path / "cluster.toml", boards)


def test_a_host_raises_its_own_limit(cluster: Path) -> None:
    done = edgebll("devices", "--cluster", cluster, "--json", soft=64, hard=1024)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(json.loads(done.stdout)) == 16


def test_where_it_may_not_it_says_how_many_it_needs(cluster: Path) -> None:
    done = edgebll("devices", "--cluster", cluster, soft=64, hard=128)
    assert done.returncode == 2
    said = one_sentence(done.stderr)
    assert "16 boards need 200 open files on this host, and it may have 128 (its hard limit)" in said
    assert "ulimit -Hn 200" in said


@pytest.mark.parametrize(("command", "hard", "needed"), [("simulate", 56, 60), ("run", 128, 200)])
def test_a_run_begins_with_all_it_needs_or_not_at_all(
    command: str, hard: int, needed: int, cluster: Path, dense_bundle: Path, tmp_path: Path
) -> None:
    boards = ["--boards", 2] if command == "simulate" else ["--cluster", cluster]
    done = edgebll(command, dense_bundle, "--out", tmp_path / "run", "--data", "digits", *boards, soft=48, hard=hard)
    assert done.returncode == 2, done.stderr
    assert f"boards need {needed} open files on this host" in one_sentence(done.stderr)
    assert list((tmp_path / "run").glob("boards/*")) == []
