"""`edgebll train` as a process: killed, interrupted, without disk, on a terminal, in a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgebll.kernel.runs.run_folder import open_run, read_config

COMMAND = [sys.executable, "-c", "from edgebll.cli import main; main()"]
SMALL = ["train", "--network", "resnet8", "--blocks", "2", "--limit", "320", "--batch-size", "16", "--threads", "1"]
ENV = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120", "TERM": "xterm"}
DEADLINE_S = 60.0


def edgebll(*arguments: str | Path, shell: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command; `shell` is shell code that runs before it, in its process."""
    command = [*COMMAND, *map(str, arguments)]
    if shell:
        command = ["sh", "-c", f'{shell}; exec "$@"', "sh", *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, env=ENV)


@contextlib.contextmanager
def running(*arguments: str | Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([*COMMAND, *map(str, arguments)], text=True, env=ENV, **options)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, "the process ended too early"
        assert time.monotonic() < deadline, "nothing happened before the deadline"
        select.select([], [], [], 0.01)


def test_a_killed_run_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    arguments: list[str | Path] = [*SMALL, "--epochs", "3", "--checkpoint-steps", "5", "--json"]
    whole = edgebll(*arguments, "--out", tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    run = tmp_path / "run"
    with running(*arguments, "--out", run, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until((run / "checkpoint" / "progress.json").exists, process)
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE_S)
    assert not (run / "summary.json").exists()
    resumed = edgebll("train", "--resume", "--out", run, "--json")
    assert resumed.returncode == 0, resumed.stderr
    assert "going on from step" in resumed.stderr
    expected, actual = json.loads(whole.stdout), json.loads(resumed.stdout)
    assert actual["state_sha256"] == expected["state_sha256"]
    assert (run / "metrics.jsonl").read_text() == (tmp_path / "whole" / "metrics.jsonl").read_text()


def test_ctrl_c_ends_with_code_130_and_says_how_to_go_on(tmp_path: Path) -> None:
    arguments: list[str | Path] = [*SMALL, "--epochs", "500", "--checkpoint-steps", "5", "--out", tmp_path / "run"]
    with running(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        wait_until((tmp_path / "run" / "checkpoint" / "progress.json").exists, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 130
    assert out == ""
    assert "--resume" in err
    assert "Traceback" not in err


def test_a_full_disk_ends_with_code_9_and_the_earlier_run_is_safe(tmp_path: Path) -> None:
    arguments: list[str | Path] = [*SMALL, "--epochs", "1", "--out", tmp_path / "run"]
    assert edgebll(*arguments).returncode == 0
    before = open_run(tmp_path / "run")
    result = edgebll(*arguments, "--seed", "1", "--overwrite", shell="ulimit -f 200")
    assert result.returncode == 9, result.stderr
    assert result.stderr.splitlines()[-1].startswith("edgebll: cannot write")
    assert "Traceback" not in result.stderr
    assert read_config(tmp_path / "run")["seed"] == 1
    assert not (tmp_path / "run" / "summary.json").exists()
    assert open_run(tmp_path / "run.previous") == before


def test_a_terminal_gets_a_bar_with_losses_and_throughput(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    shown = b""
    with running(*SMALL, "--epochs", "2", "--out", tmp_path / "run", stderr=slave, stdout=subprocess.PIPE) as process:
        os.close(slave)
        deadline = time.monotonic() + DEADLINE_S
        with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
            while time.monotonic() < deadline and (piece := os.read(master, 1 << 16)):
                shown += piece
        assert process.wait(DEADLINE_S) == 0
    os.close(master)
    text = shown.decode()
    assert "training" in text
    assert "40/40" in text
    assert "samples/s" in text
    assert "epoch 2: accuracy" in text
    assert "Traceback" not in text


def test_a_reader_that_goes_away_is_no_error() -> None:
    with running("doctor", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        if process.stdout is not None:
            process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=DEADLINE_S)
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["data", "list"], ["version"], ["keys", "--help"]])
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'onnxruntime', 'sklearn.datasets', 'matplotlib', 'zmq'): sys.modules[name] = None\n"
        "from edgebll.cli import main\n"
        "main()\n"
    )
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=DEADLINE_S)
    assert result.returncode == 0, result.stderr


def test_data_imports_no_torch() -> None:
    code = (
        "import sys\n"
        "import edgebll.kernel.runs.run_folder, edgebll.kernel.plots, edgebll.kernel.plots.timeline, edgebll.data.fetch\n"
        "from edgebll.data import load_dataset\n"
        "print(len(load_dataset('digits', 'test')), sorted({'torch', 'onnx', 'onnxruntime'} & set(sys.modules)))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE_S)
    assert result.stdout == "360 []\n", result.stderr
