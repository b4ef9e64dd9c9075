"""Running the `edgebll` command from benchmarks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


def edgebll(*arguments: object) -> str:
    """Run a command with one thread and return what it prints; ends the program where it fails."""
    command = [sys.executable, "-c", "from edgebll.cli import main; main()", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))} failed:\n{done.stderr}")
    return done.stdout


def accuracy(run: Path) -> float:
    """Test accuracy of a run in percent."""
    return 100 * float(json.loads((run / "summary.json").read_text())["accuracy"])
