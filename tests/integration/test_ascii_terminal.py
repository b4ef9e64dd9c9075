"""Names with letters that a terminal does not have: no traceback, and something to read instead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.direct_host import DirectHost, agent_process
from support.pipelines import SHORT, summary, write_cluster
from support.slow import slow_after
from support.terminals import BOARD, EDGEBLL, Terminal, ended

NAME = "Bröt\N{SNOWMAN}"
#: As a shell of a bare system has it, as a program can be told, and where Python is kept from helping itself.
POOR: dict[str, dict[str, Any]] = {
    "LANG=C": {"LANG": "C"},
    "LC_ALL=C": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "PYTHONIOENCODING": {"PYTHONIOENCODING": "ascii"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "ASCII alone": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


def call(program: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    given = {key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIO"))}
    command = [sys.executable, "-c", program, *map(str, arguments)]
    given |= {"OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, capture_output=True, timeout=120, check=False, env=given)


@pytest.mark.parametrize("poor", slow_after(1, POOR))
def test_a_run_under_a_name_it_cannot_show(dense_bundle: Path, tmp_path: Path, poor: str) -> None:
    run = tmp_path / NAME
    result = call(EDGEBLL, "simulate", dense_bundle, *SHORT, "--boards", 0, "--out", run, **POOR[poor])
    assert (result.returncode, b"Traceback" in result.stderr) == (0, False), result.stderr
    assert summary(run)["steps"] == 10
    assert result.stdout.startswith(f"{tmp_path}/Br".encode())
    if poor in ("PYTHONIOENCODING", "strict"):
        assert result.stdout.startswith(f"{tmp_path}/Br\\xf6t\\u2603: accuracy".encode())
    again = call(EDGEBLL, "simulate", dense_bundle, *SHORT, "--boards", 0, "--out", run, **POOR[poor])
    assert (again.returncode, len(again.stderr.splitlines())) == (9, 1)
    assert b"holds a whole run; choose another folder" in again.stderr


@pytest.mark.parametrize("poor", slow_after(1, ["ASCII alone", "PYTHONIOENCODING"]))
def test_boards_with_names_it_cannot_show(dense_bundle: Path, tmp_path: Path, poor: str) -> None:
    run = tmp_path / NAME
    with agent_process(tmp_path / "state") as agent:
        cluster = write_cluster(tmp_path / f"{NAME}.toml", {"Küche": agent.endpoint})
        for json_option in ((), ("--json",)):
            listed = call(EDGEBLL, "devices", "--cluster", cluster, *json_option, **POOR[poor])
            assert (listed.returncode, listed.stderr) == (0, b""), listed
        assert json.loads(listed.stdout)
        result = call(EDGEBLL, "run", dense_bundle, "--cluster", cluster, *SHORT, "--out", run, **POOR[poor])
        assert (result.returncode, b"Traceback" in result.stderr) == (0, False), result.stderr
    assert list(summary(run)["placement"]) == ["Küche"]


@pytest.mark.parametrize("poor", slow_after(1, POOR))
def test_what_was_typed_wrongly(tmp_path: Path, poor: str) -> None:
    for arguments, code in ((("eval", tmp_path / NAME), 3), (("train", f"--{NAME}"), 2), (("simulate", NAME), 2)):
        result = call(EDGEBLL, *arguments, **POOR[poor])
        assert (result.returncode, b"Traceback" in result.stderr) == (code, False), result.stderr
        assert result.stderr


@pytest.mark.parametrize("poor", slow_after(1, POOR))
def test_a_board_of_such_a_name(tmp_path: Path, poor: str) -> None:
    serve = ("serve", "--listen", "tcp://127.0.0.1:0", "--name", NAME, "--state", tmp_path / NAME)
    with Terminal() as terminal:
        process = terminal.start(BOARD, *serve, **POOR[poor])
        with ended([process]):
            line = terminal.read_until(lambda shown: b" data " in shown)
            with DirectHost(line.split(b" serving ")[1].split()[0].decode(), "run") as host:
                assert host.hello().name == NAME
                host.stop()
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0


def test_a_bar_in_ascii(dense_bundle: Path, tmp_path: Path) -> None:
    with Terminal() as terminal:
        options = [*SHORT, "--boards", 0, "--out", tmp_path / NAME]
        process = terminal.start(EDGEBLL, "simulate", dense_bundle, *options, PYTHONIOENCODING="ascii")
        with ended([process]):
            shown = terminal.read_until(lambda shown: b"samples/s)" in shown)
            assert process.wait(60) == 0
    assert shown.isascii()
    assert b"Br\\xf6t\\u2603: accuracy" in shown.replace(b"\r\n", b"")
