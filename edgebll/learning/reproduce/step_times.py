"""Timing a few training steps of every cell of a table on this machine: how long its runs will take. Needs torch.

They are steps of the trainer itself, on the recipe's data, in a folder that is thrown away. It is the time that this process
computes, so that what runs beside it does not count; of a GPU, which computes beside it, nothing is measured.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgebll.kernel.errors import EdgebllError
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.support.atomic_files import write_json
from edgebll.learning.reproduce.cell_times import MEASURED, duration_text, like
from edgebll.learning.reproduce.cells import Cell
from edgebll.learning.reproduce.machine import machine
from edgebll.learning.training import TrainConfig, train

#: Steps that are timed, after the first, in which everything is prepared.
STEPS = 3
#: An evaluation costs so much of an epoch: a third of the steps' products, on a fifth as many samples.
_EVALUATION = 1 / 15


class _Enough(Exception):  # noqa: N818  (no error: the steps are timed)
    """As many steps as are timed."""


class _StepClock(Listener):
    """Times steps on a processor, and ends the training after STEPS + 1 of them."""

    def __init__(self) -> None:
        self.total_steps = 0
        self.times: list[float] = []

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """How many steps the whole run has."""
        self.total_steps = total_steps

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """Note the time."""
        self.times.append(time.process_time())
        if len(self.times) > STEPS:
            raise _Enough


def measure_times(cells: Sequence[Cell], folder: Path, data_dir: Path | None, say: Callable[[str], None]) -> None:
    """Time some steps of every cell of the first seed, and write down how long runs will take, for `CellTimes`.

    One that fails is passed over: its run will say why.

    Args:
        cells: placed on the processor; those that cannot be run are passed over.
        folder: OUT/TABLE/SCALE.
        data_dir: folder with the data sets' files; by default found.
        say: told of each, a line at a time.

    Raises:
        StorageError: the disk refuses.
    """
    say("timing a few steps of every kind of run")
    found: list[dict[str, Any]] = []
    for cell in cells:
        if cell.config is None or cell.seed != cells[0].seed:
            continue
        try:
            seconds = run_seconds(cell.config, data_dir)
        except EdgebllError as error:
            say(f"{cell.title}: not timed: {error}")
            continue
        say(f"{cell.title}: a run takes about {duration_text(seconds)}")
        setting, rule, blocks = like(cell)
        found.append({"setting": setting, "rule": rule, "blocks": blocks, "seconds": round(seconds, 1)})
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MEASURED, {"machine": machine(), "cells": found})


def run_seconds(config: TrainConfig, data_dir: Path | None = None) -> float:
    """How long a run will take, from the time of a few steps.

    Args:
        config: of the run.
        data_dir: folder with the data set's files; by default found.

    Raises:
        DataError: the data set is missing. ConfigError: the config does not fit itself or the data.
    """
    clock = _StepClock()
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(_Enough):
        summary = train(config, Path(folder) / "run", data_dir=data_dir, listener=clock)
        return float(summary["seconds"])  # so short that it is over
    gaps = [after - before for before, after in zip(clock.times, clock.times[1:], strict=False)]
    evaluations = math.ceil(config.epochs / config.evaluate_epochs)
    steps = clock.total_steps * (1 + evaluations * _EVALUATION / config.epochs)
    return steps * sum(gaps) / len(gaps) / config.threads
