"""Runs of `edgebll simulate` and `run` for tests: in this process, and as processes whose boards can be hurt."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from typer.testing import CliRunner

from edgebll.cli.app import app

#: Ten training steps of 16 samples.
SHORT = ["--data", "digits", "--limit", "160"]


def invoke(*arguments: object, code: int = 0) -> str:
    """Run the command in this process and return its stdout; stderr is kept apart."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.stdout


def summary(run: Path) -> dict:
    return json.loads((run / "summary.json").read_text())


def records(run: Path) -> list[str]:
    """Lines of metrics.jsonl without when they were written, each once; their order depends on the timing."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = sorted(json.dumps({name: line[name] for name in line if name != "time"}) for line in lines)
    assert len(found) == len(set(found))
    return found


def write_cluster(path: Path, boards: dict[str, str], host: str = "", keys: dict[str, str] | None = None) -> Path:
    text = f"[host]\n{host}\n"
    for name, endpoint in boards.items():
        text += f'[[board]]\nname = "{name}"\nendpoint = "{endpoint}"\n'
        text += f'public_key = "{keys[name]}"\n' if keys else ""
    path.write_text(text)
    return path


class HostProcess:
    """`edgebll simulate` or `run` as a long process, so that it or its boards can be hurt; killed at the end of a `with`.

    Args:
        command: "simulate" or "run". bundle, run: what, and where to. options: more of the command line.
    """

    def __init__(self, command: str, bundle: Path, run: Path, *options: str) -> None:
        line = [sys.executable, "-c", "from edgebll.cli import main; main()", command, str(bundle), "--out", str(run)]
        line += ["--data", "digits", "--epochs", "500", *options]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.run = run

    def await_epoch(self) -> None:
        """Wait until the first epoch is over, told by the line about its accuracy."""
        assert self.process.stderr is not None
        timer = threading.Timer(60, self.process.kill)
        timer.start()
        said = []
        try:
            for line in self.process.stderr:
                if "accuracy" in line:
                    return
                said.append(line)
        finally:
            timer.cancel()
        raise AssertionError(f"the run ended before its first epoch: {said}")

    def boards(self) -> list[int]:
        """Process ids of the agents it started."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children]

    def end(self) -> tuple[int, str]:
        """Exit code and what was said on stderr from now on."""
        _, errors = self.process.communicate(timeout=60)
        return self.process.returncode, errors

    def __enter__(self) -> HostProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)


def one_sentence(errors: str) -> str:
    """The only line of stderr that tells an error."""
    assert "Traceback" not in errors
    sentences = [line for line in errors.splitlines() if line.startswith("edgebll:")]
    assert len(sentences) == 1, errors
    return sentences[0]


def await_gone(pids: list[int], limit_s: float = 0.0) -> None:
    """Wait until none of these agents runs any more."""
    deadline = time.monotonic() + limit_s
    while left := [pid for pid in pids if _is_agent(pid)]:
        assert time.monotonic() <= deadline, f"still running: {left}"
        os.sched_yield()


def _is_agent(pid: int) -> bool:
    try:
        return b"edgebll" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
