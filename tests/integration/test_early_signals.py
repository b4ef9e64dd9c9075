"""Ctrl-C, SIGTERM and SIGHUP while a command is still importing what it needs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EDGEBLL = "from edgebll.cli import main; main()"
BOARD = "from edgebll_devices.commands.main import main; main()"
#: Program, arguments, and the module in whose import the signal comes.
CASES = {
    "the first import": (EDGEBLL, ["version"], "typer"),
    "train": (EDGEBLL, ["train", "--out", "run"], "torch"),
    "export": (EDGEBLL, ["export", "run", "--out", "bundle"], "torch"),
    "simulate": (EDGEBLL, ["simulate", "bundle", "--out", "run"], "numpy"),
    "run": (EDGEBLL, ["run", "bundle", "--out", "run", "--cluster", "cluster.toml"], "zmq"),
    "doctor": (EDGEBLL, ["doctor"], "zmq"),
    "the board's first import": (BOARD, ["serve"], "typer"),
    "serve": (BOARD, ["serve"], "zmq"),
}
ENDS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "told to end"),
    signal.SIGHUP: (129, "its terminal was closed"),
}


def call(case: str, number: signal.Signals, folder: Path, then: str) -> subprocess.CompletedProcess[str]:
    """Run a case where the import of its module sends its own process the signal, and then goes on with `then`."""
    program, arguments, module = CASES[case]
    (folder / "fakes").mkdir()
    (folder / "fakes" / f"{module}.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\n{then}\n")
    # As the installed script does, and before all other folders.
    paths = [str(folder / "fakes"), *(path for path in sys.path if path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("number", ENDS)
@pytest.mark.parametrize("case", CASES)
def test_a_signal_during_imports_ends_in_order(case: str, number: signal.Signals, tmp_path: Path) -> None:
    result = call(case, number, tmp_path, "raise SystemExit('the signal did nothing')")
    code, words = ENDS[number]
    command = "edgebll-board" if CASES[case][0] is BOARD else "edgebll"
    assert (result.returncode, result.stdout, result.stderr) == (code, "", f"{command}: {words}\n")


def test_a_signal_that_became_an_import_error_is_still_one(tmp_path: Path) -> None:
    """As C code makes one of it that imports in its turn."""
    (tmp_path / "fakes").mkdir()
    code = "import os, signal\ntry:\n    os.kill(os.getpid(), signal.SIGINT)\nexcept KeyboardInterrupt:\n    pass\n"
    (tmp_path / "fakes" / "torch.py").write_text(f"{code}raise ImportError('torch cannot be imported')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path / "fakes"), *(path for path in sys.path if path)])}
    command = [sys.executable, "-c", EDGEBLL, "train", "--out", str(tmp_path / "run")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (130, "edgebll: interrupted\n")
