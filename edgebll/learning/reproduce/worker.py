"""The training processes of `edgebll.learning.reproduce.runner`: python -m edgebll.learning.reproduce.worker JSON.

Ends with exit code 0 and what `run_cell` returned on stdout; or with an error's exit code and its sentence there.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.support.console_streams import guard_streams
from edgebll.learning.reproduce.cells import cells_of, placed
from edgebll.learning.reproduce.one_run import Clock, run_cell
from edgebll.learning.reproduce.recipe import read_recipe

_INTERRUPTED = 130


def main() -> int:
    """Train the cell that the command line names; returns the exit code."""
    guard_streams()
    try:
        print(_train(json.loads(sys.argv[1])))
    except EdgebllError as error:
        print(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 0


def _train(told: dict[str, Any]) -> str:
    cells = cells_of(read_recipe(told["table"]), told["scale"], told["seed"] + 1)
    (cell,) = [cell for cell in cells if cell.folder == told["cell"]]
    cell = placed(cell, told["how"])
    start, data_dir = time.monotonic(), told["data_dir"]
    deadline = None if told["seconds"] is None else start + told["seconds"]
    clock = Clock(start, deadline, lambda: os.getppid() != told["parent"])  # nobody waits for it any more
    return run_cell(cell, Path(told["runs"]), clock, None if data_dir is None else Path(data_dir))


if __name__ == "__main__":
    sys.exit(main())
