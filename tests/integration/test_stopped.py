"""Hosts and boards that are stopped for a while, as by SIGSTOP or the lid of a laptop, and go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from support.board_runs import run_alone
from support.chaos_boards import make_kinds
from support.direct_host import DirectHost, agent_process
from support.pipelines import write_cluster

from edgebll.kernel.bundle import Bundle
from edgebll.kernel.state.block_state import state_sha256
from edgebll.kernel.wire import Ping, Pong

#: Seconds a board bears a silent host, and a run goes on without progress.
DEADLINE_S, PATIENCE_S = 1.5, 3.0
KINDS = make_kinds(20, 5)


def stop(process: subprocess.Popen[str]) -> None:
    """Stop it, and see that it is."""
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)


def go_on_after(process: subprocess.Popen[str], stopped_s: float, holds: Callable[[], bool] = lambda: True) -> None:
    """Let it go on when it was stopped for so long and something has happened meanwhile."""
    began_s, over = time.monotonic(), threading.Event()
    while time.monotonic() - began_s < stopped_s or not holds():
        assert time.monotonic() - began_s < 30
        over.wait(0.05)
    process.send_signal(signal.SIGCONT)


def host_of(bundle: Bundle, cluster: Path, folder: Path) -> subprocess.Popen[str]:
    """A host process that feeds ten tokens a second."""
    (folder / "kinds.json").write_text(json.dumps(KINDS))
    arguments = map(str, (bundle.path, folder / "run", cluster, folder / "kinds.json", 0.1))
    command, tests = [sys.executable, "-m", "support.chaos_host", *arguments], Path(__file__).parents[1]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tests)


def test_a_host_that_was_stopped_for_longer_than_its_patience_recovers(two_blocks: Bundle, tmp_path: Path) -> None:
    quick, logs = ("--deadline", str(DEADLINE_S)), [tmp_path / name / "agent.log" for name in ("left", "right")]
    with (
        agent_process(tmp_path / "left", *quick, name="left") as a,
        agent_process(tmp_path / "right", *quick, name="right") as b,
    ):
        endpoints = {"left": a.endpoint, "right": b.endpoint}
        # One token at a time, so that nothing that was done before waits to be heard of and counts as progress.
        cluster = write_cluster(tmp_path / "c.toml", endpoints, f"window = 1\npatience_s = {PATIENCE_S}")
        with host_of(two_blocks, cluster, tmp_path) as host:
            assert host.stdout is not None
            assert next(line for line in host.stdout if line.startswith("step"))
            stop(host)
            go_on_after(host, 2 * PATIENCE_S, lambda: all("heard nothing from the host" in log.read_text() for log in logs))
            said = host.stdout.read()
    assert host.returncode == 0, said
    assert "this host could do nothing for" in said
    assert said.count("recovery ") >= 1
    assert f"end {state_sha256(run_alone(two_blocks, KINDS))}" in said


def test_a_board_that_was_stopped_does_not_blame_its_host(two_blocks: Bundle, tmp_path: Path) -> None:
    with agent_process(tmp_path / "a", "--deadline", str(2 * DEADLINE_S)) as agent, DirectHost(agent.endpoint, "run") as host:
        host.start(two_blocks, ("block0", "block1"))
        stop(agent.process)
        go_on_after(agent.process, 4 * DEADLINE_S)
        assert host.control.receive(0.5) is None, "it says nothing by itself, though the last it heard is long ago"
        host.control.send(Ping(1))
        assert host.expect(Pong).sent_ns == 1
        host.stop()
