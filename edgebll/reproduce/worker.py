"""The training processes of `edgebll.reproduce.runner`: python -m edgebll.reproduce.worker JSON.

Ends with exit code 0 once the run is whole, has failed or is paused; otherwise with the error's, its sentence on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebll.errors import EdgebllError
from edgebll.reproduce.cells import cells_of
from edgebll.reproduce.one_run import Clock, run_cell
from edgebll.reproduce.recipe import read_recipe

_INTERRUPTED = 130


def main() -> int:
    """Train the cell that the command line names; returns the exit code."""
    try:
        _train(json.loads(sys.argv[1]))
    except EdgebllError as error:
        print(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _train(told: dict[str, Any]) -> None:
    cells = cells_of(read_recipe(told["table"]), told["scale"], told["seed"] + 1)
    (cell,) = [cell for cell in cells if cell.folder == told["cell"]]
    if cell.config is not None:
        cell = replace(cell, config=replace(cell.config, threads=told["threads"]))
    start, data_dir = time.monotonic(), told["data_dir"]
    deadline = None if told["seconds"] is None else start + told["seconds"]
    clock = Clock(start, deadline, lambda: os.getppid() != told["parent"])  # nobody waits for it any more
    run_cell(cell, Path(told["runs"]), clock, None if data_dir is None else Path(data_dir))


if __name__ == "__main__":
    sys.exit(main())
