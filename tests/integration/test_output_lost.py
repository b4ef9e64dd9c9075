"""What a command prints cannot be written, and names that no file system takes: no run, no board and no result is lost."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.direct_host import PATIENCE_S, DirectHost
from support.pipelines import SHORT, HostProcess

FULL = Path("/dev/full")
needs_full = pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full here")
EDGEBLL = [sys.executable, "-c", "from edgebll.cli import main; main()"]
BOARD = [sys.executable, "-c", "from edgebll_devices.commands.main import main; main()"]
LONG = "x" * 300


def shell(redirections: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `edgebll` with its streams redirected by a shell."""
    command = ["sh", "-c", f'exec "$@" {redirections}', "sh", *EDGEBLL, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


@contextlib.contextmanager
def without_reader() -> Iterator[int]:
    """The end to write to of a pipe of which nobody has the other."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


def await_snapshot(host: HostProcess) -> None:
    """Wait until there is a snapshot to go on from."""
    deadline = time.monotonic() + PATIENCE_S
    while not any(host.run.glob("snapshots/step*")):
        assert time.monotonic() < deadline, "there is no snapshot"
        select.select([], [], [], 0.01)


@pytest.mark.parametrize("redirections", [">/dev/null 2>/dev/full", ">&- 2>&-"])
def test_progress_that_cannot_be_written_ends_no_run(dense_bundle: Path, tmp_path: Path, redirections: str) -> None:
    if "/dev/full" in redirections and not FULL.exists():
        pytest.skip("there is no /dev/full here")
    result = shell(redirections, "simulate", dense_bundle, *SHORT, "--epochs", "2", "--boards", "1", "--out", tmp_path / "run")
    assert result.returncode == 0
    assert (tmp_path / "run" / "summary.json").exists()


def test_a_reader_that_went_away_ends_no_run(dense_bundle: Path, tmp_path: Path) -> None:
    line = [*EDGEBLL, "simulate", str(dense_bundle), *SHORT, "--epochs", "2", "--boards", "0", "--out", str(tmp_path / "run")]
    with without_reader() as writer:
        result = subprocess.run(line, stdout=writer, stderr=writer, timeout=60, check=False)
    assert (tmp_path / "run" / "summary.json").exists()
    assert result.returncode == 141


@needs_full
def test_a_result_that_cannot_be_written_is_one_sentence_after_a_whole_run(dense_bundle: Path, tmp_path: Path) -> None:
    options: list[str | Path] = [*SHORT, "--boards", "0", "--json", "--out", tmp_path / "run"]
    result = shell(">/dev/full", "simulate", dense_bundle, *options)
    assert (tmp_path / "run" / "summary.json").exists()
    told = [line for line in result.stderr.splitlines() if not line.startswith("epoch ")]
    sentence = "edgebll: cannot write the output to stdout: No space left on device; send it elsewhere"
    assert (result.returncode, told) == (9, [sentence])


@needs_full
@pytest.mark.parametrize(
    "arguments", [["operators"], ["operators", "--markdown"], ["--help"], ["train", "--help"], ["--version"]]
)
def test_what_is_listed_nowhere_is_one_sentence(arguments: list[str]) -> None:
    result = shell(">/dev/full", *arguments)
    assert result.returncode == 9
    assert result.stderr == "edgebll: cannot write the output to stdout: No space left on device; send it elsewhere\n"


@needs_full
def test_a_board_serves_without_a_word(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        endpoint = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with FULL.open("w") as full:
        line = [*BOARD, "serve", "--listen", endpoint, "--state", str(tmp_path)]
        process = subprocess.Popen(line, stdout=full, stderr=full)
    try:
        with DirectHost(endpoint, "run") as host:
            assert host.hello().name
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()


@needs_full
def test_a_code_that_nobody_sees_is_waited_for_by_nobody(tmp_path: Path) -> None:
    line = [*BOARD, "pair", "--listen", "tcp://127.0.0.1:0", "--state", str(tmp_path)]
    with FULL.open("w") as full:
        result = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    sentence = "edgebll-board: cannot write the output to stdout: No space left on device; send it elsewhere\n"
    assert (result.returncode, result.stderr) == (9, sentence)


@pytest.mark.parametrize(
    "arguments",
    [
        ["simulate", "{bundle}", *SHORT, "--boards", "0", "--out", "{long}"],
        ["train", "--network", "mlp", "--limit", "128", "--epochs", "1", "--out", "{long}"],
        ["export", "{long}", "--out", "bundle"],
        ["eval", "{long}"],
        ["keys", "new", "{long}"],
    ],
)
def test_a_name_too_long_is_one_sentence(dense_bundle: Path, tmp_path: Path, arguments: list[str]) -> None:
    names = {"bundle": dense_bundle, "long": tmp_path / LONG}
    result = shell("", *(argument.format(**names) for argument in arguments))
    assert result.returncode in (2, 3, 9), result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("edgebll: ")
    assert "File name too long" in result.stderr


def test_a_log_with_a_name_too_long_is_one_sentence(tmp_path: Path) -> None:
    line = [*BOARD, "serve", "--listen", "tcp://127.0.0.1:0", "--state", str(tmp_path), "--log", str(tmp_path / LONG)]
    result = subprocess.run(line, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 9
    assert result.stderr == f"edgebll-board: cannot write {tmp_path / LONG}: File name too long; choose another folder\n"


@pytest.mark.parametrize(("command", "boards"), [("simulate", "0"), ("simulate", "2")])
def test_an_interrupted_run_says_how_to_go_on(dense_bundle: Path, tmp_path: Path, command: str, boards: str) -> None:
    options = ["--boards", boards, "--snapshot-every", "5", "--limit", "320"]
    with HostProcess(command, dense_bundle, tmp_path / "a run", *options) as host:
        host.await_epoch()
        await_snapshot(host)
        host.process.send_signal(signal.SIGINT)
        code, errors = host.end()
    told = [line for line in errors.splitlines() if line.startswith("edgebll:")]
    hint = f"edgebll: the run is not whole; go on with `edgebll simulate --resume '{tmp_path}/a run'`"
    assert (code, told) == (130, [hint, "edgebll: interrupted"])


@pytest.mark.parametrize("value", ["inf", "1e300", "nan", "0.5"])
def test_a_deadline_out_of_bounds_is_told_both(dense_bundle: Path, tmp_path: Path, value: str) -> None:
    result = shell("", "simulate", dense_bundle, "--out", tmp_path / "run", "--deadline", value)
    assert result.returncode == 2
    assert "--deadline must be a number of seconds, at least 1 (two heartbeats) and less than 1000000, not " in result.stderr
