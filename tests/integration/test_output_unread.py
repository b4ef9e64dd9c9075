"""A terminal that is stopped, or a pipe nobody reads: runs, training and boards go on, and what matters is shown later."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.pipelines import SHORT, summary, write_cluster
from support.slow import slow_after
from support.terminals import BOARD, EDGEBLL, PATIENCE_S, Terminal, await_file, ended, full_pipe

EPOCHS = ("--epochs", "20")
#: Fewer lines are kept than are said, and nobody is waited for for long.
IMPATIENT = (
    "import edgebll.kernel.support.console_streams as s; s.KEPT_BYTES, s.RESULT_S, s.LAST_WORDS_S = 500, {result}, 0.2\n"
    + EDGEBLL
)


def commands(bundle: Path, run: Path) -> dict[str, list[object]]:
    """Command lines of some seconds, of which each says more than a terminal takes at once."""
    stream = [bundle, *SHORT, *EPOCHS, "--out", run]
    return {
        "boards": ["simulate", *stream, "--boards", 2],
        "alone": ["simulate", *stream, "--boards", 0],
        "train": ["train", "--network", "mlp", *SHORT, *EPOCHS, "--out", run],
    }


@pytest.mark.parametrize("which", slow_after(2, ["boards", "train", "alone"]))
def test_a_terminal_that_is_stopped_holds_no_run_up(dense_bundle: Path, tmp_path: Path, which: str) -> None:
    run = tmp_path / "run"
    with Terminal() as terminal:
        terminal.stop()
        process = terminal.start(EDGEBLL, *commands(dense_bundle, run)[which])
        with ended([process]):
            await_file(run / "summary.json", process)
            assert summary(run).get("recoveries", []) == []
            terminal.go_on()
            shown = terminal.read_until(lambda shown: b"samples/s)" in shown)
            assert process.wait(PATIENCE_S) == 0
    assert b"accuracy" in shown


@pytest.mark.parametrize("which", slow_after(1, ["boards", "train"]))
def test_who_reads_again_is_told_how_many_lines_he_missed(dense_bundle: Path, tmp_path: Path, which: str) -> None:
    run = tmp_path / "run"
    with full_pipe() as (reader, writer):
        process = start(IMPATIENT.format(result=60), commands(dense_bundle, run)[which], writer)
        with ended([process]):
            await_file(run / "summary.json", process)
            os.set_blocking(reader, False)
            shown = b""
            while process.poll() is None:
                shown += read_some(reader)
            while some := read_some(reader):
                shown += some
    said = [line for line in shown.decode().splitlines() if line.strip(".")]
    (missed,) = re.findall(r"^\[(\d+) lines were dropped here: nobody read them\]$", "\n".join(said), re.MULTILINE)
    told = [line for line in said if line.startswith("epoch ")]
    assert int(missed) + len(told) >= 20, "an epoch is a line"
    assert told[-1].startswith("epoch 20"), "the newest are kept"
    assert sum("samples/s)" in line for line in said) == 1, "and so are results"


def read_some(reader: int) -> bytes:
    try:
        return os.read(reader, 1 << 16)
    except BlockingIOError:
        return b""


def start(program: str, arguments: Sequence[object], writer: int, stderr: int | None = None) -> subprocess.Popen[bytes]:
    """Run a program of Python that writes to a pipe."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=writer, stderr=writer if stderr is None else stderr, env=environment)


def test_a_result_that_nobody_reads_is_not_waited_for_for_ever(dense_bundle: Path, tmp_path: Path) -> None:
    with full_pipe() as (_, writer), (tmp_path / "said").open("wb") as said:
        options = [*SHORT, "--boards", 0, "--out", tmp_path / "run"]
        process = start(IMPATIENT.format(result=0.3), ["simulate", dense_bundle, *options], writer, said.fileno())
        with ended([process]):
            assert process.wait(PATIENCE_S) == 9
    sentence = "edgebll: cannot write the output to stdout: nobody has read it for 0.3 s; send it elsewhere"
    assert (tmp_path / "said").read_text().splitlines()[-1] == sentence
    assert (tmp_path / "run" / "summary.json").exists()


def test_an_error_that_nobody_reads_ends_the_command(tmp_path: Path) -> None:
    with full_pipe() as (_, writer):
        process = start(IMPATIENT.format(result=60), ["eval", tmp_path / "nothing"], writer)
        with ended([process]):
            assert process.wait(PATIENCE_S) == 3


def test_boards_whose_log_nobody_reads_serve_a_run_whose_terminal_is_stopped(dense_bundle: Path, tmp_path: Path) -> None:
    run, endpoints = tmp_path / "run", {name: free_endpoint() for name in ("left", "right")}
    with full_pipe() as (_, writer), Terminal() as terminal:
        options = {name: ["--name", name, "--listen", where, "--state", tmp_path / name] for name, where in endpoints.items()}
        agents = [start(BOARD, ["serve", "--verbose", *options[name]], writer) for name in endpoints]
        with ended(agents):
            for agent, endpoint in zip(agents, endpoints.values(), strict=True):
                await_listening(endpoint, agent)
            cluster = write_cluster(tmp_path / "cluster.toml", endpoints)
            terminal.stop()
            process = terminal.start(EDGEBLL, "run", dense_bundle, "--cluster", cluster, *SHORT, *EPOCHS, "--out", run)
            with ended([process]):
                await_file(run / "summary.json", process)
                assert summary(run)["recoveries"] == []
            for agent in agents:
                agent.send_signal(signal.SIGTERM)
            assert [agent.wait(PATIENCE_S) for agent in agents] == [0, 0]


def free_endpoint() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"tcp://127.0.0.1:{free.getsockname()[1]}"


def await_listening(endpoint: str, agent: subprocess.Popen[bytes]) -> None:
    """Wait until an agent that cannot say so takes connections."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert agent.poll() is None
        assert time.monotonic() < deadline
        try:
            return socket.create_connection(("127.0.0.1", int(endpoint.rsplit(":", 1)[1])), 1.0).close()
        except ConnectionRefusedError:
            select.select([], [], [], 0.02)
