"""Training, export, verification and a simulated cluster in processes where unpickling and torch.load are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_BLOCKED = str(Path(__file__).parents[1] / "support" / "no_pickle")
_EDGEBLL = "from edgebll.cli import main; main()"


def _run(code: str, *arguments: str, log: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NO_PICKLE_LOG": str(log)}
    environment["PYTHONPATH"] = os.pathsep.join([_BLOCKED, *filter(None, [os.environ.get("PYTHONPATH")])])
    line = [sys.executable, "-c", code, *arguments]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=200, check=False)


@pytest.mark.slow
def test_nothing_is_unpickled(tmp_path: Path) -> None:
    log, run, bundle, again = (tmp_path / name for name in ("log", "run", "bundle", "again"))
    for arguments in (
        ["train", "--data", "digits", "--network", "mlp", "--blocks", "2", "--epochs", "1", "--out", str(run)],
        ["export", str(run), "--out", str(bundle)],
        ["simulate", str(bundle), "--data", "digits", "--epochs", "1", "--boards", "2", "--out", str(again)],
        ["eval", str(again), "--data", "digits"],
    ):
        result = _run(_EDGEBLL, *arguments, log=log)
        assert result.returncode == 0, result.stderr[-3000:]
    assert not log.exists(), log.read_text()
    processes = Path(f"{log}.processes").read_text()
    assert processes.count("edgebll_devices") == 2, "the boards were not watched"
    assert processes.count("edgebll.cli") == 4


@pytest.mark.parametrize(
    "code",
    [
        "import pickle; pickle.loads(pickle.dumps(1))",
        "import io, pickle; pickle.Unpickler(io.BytesIO(pickle.dumps(print))).load()",
        "import torch; torch.save({}, '/dev/null'); torch.load('/dev/null')",
        "import multiprocessing.connection as c; a, b = c.Pipe(); a.send(print); b.recv()",
    ],
)
def test_the_watch_sees_what_it_must(tmp_path: Path, code: str) -> None:
    result = _run(code, log=tmp_path / "log")
    assert result.returncode != 0
    assert "something was unpickled" in result.stderr
    assert (tmp_path / "log").exists()
