"""A training process of `edgebll.learning.reproduce.warm_pool`: python -m edgebll.learning.reproduce.worker JSON.

It imports torch once and then trains one cell after another. A line on stdin names a cell, {"cell", "seconds"}; a line on
stdout answers, {"state"} as `run_cell` returns it or {"error", "exit_code"}. It ends with stdin. What else is printed goes to
stderr, also by a user's own code.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.support.console_streams import guard_streams

_INTERRUPTED = 130


def main() -> int:
    """Answer until stdin ends; returns the exit code."""
    # Ctrl-C goes to every process of the terminal: whoever started this one decides, and tells it by SIGTERM.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)
    guard_streams()
    try:
        train = _trainer(json.loads(sys.argv[1]))
        signal.signal(signal.SIGTERM, _stop)
        for line in sys.stdin:
            answers.write(json.dumps(_answer(train, json.loads(line))) + "\n")
    except (KeyboardInterrupt, BrokenPipeError):
        return _INTERRUPTED
    return 0


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _answer(train: Callable[[dict[str, Any]], str], order: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"state": train(order)}
    except EdgebllError as error:
        return {"error": str(error), "exit_code": error.exit_code}


def _trainer(told: dict[str, Any]) -> Callable[[dict[str, Any]], str]:
    """Trains the cell that an order names."""
    from edgebll.learning.reproduce.cells import cells_with, placed  # seconds of imports, with SIGINT ignored already
    from edgebll.learning.reproduce.one_run import Clock, run_cell
    from edgebll.learning.reproduce.recipe_file import read_recipe

    found = cells_with(read_recipe(told["table"]), told["scale"], told["seeds"], told["rules"])
    cells = {cell.folder: cell for cell in found}
    runs = Path(told["runs"])
    data_dir = None if told["data_dir"] is None else Path(told["data_dir"])

    def train(order: dict[str, Any]) -> str:
        start = time.monotonic()
        deadline = None if order["seconds"] is None else start + order["seconds"]
        clock = Clock(start, deadline, lambda: os.getppid() != told["parent"])  # nobody waits for it any more
        return run_cell(placed(cells[order["cell"]], told["how"]), runs, clock, data_dir)

    return train


if __name__ == "__main__":
    sys.exit(main())
