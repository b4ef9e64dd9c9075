"""One run of a table: a training of edgebll's own trainer, started, gone on with or left as it is. Needs torch.

Its folder is a run folder as `edgebll train` writes it, with `machine.json` beside the run's files: where it was trained. A run
whose loss stopped being a number has `NAME.failed.json` beside its folder, and is not tried again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgebll.data.same_options import same_told
from edgebll.kernel.errors import BundleError, ConfigError, EdgebllError
from edgebll.kernel.runs.metric_text import metric_text
from edgebll.kernel.runs.run_folder import open_run, read_config
from edgebll.kernel.runs.run_lock import CONFIG, SUMMARY
from edgebll.kernel.support.atomic_files import storage_errors, write_json
from edgebll.learning.reproduce.cell_claim import claimed
from edgebll.learning.reproduce.cell_times import duration_text
from edgebll.learning.reproduce.cells import NO_CHOICE, Cell
from edgebll.learning.reproduce.machine import machine
from edgebll.learning.training import Listener, TrainConfig, resume, train
from edgebll.learning.training.config import HOW, parse_run
from edgebll.learning.training.gpu_info import describe_gpu
from edgebll.learning.training.torch_device import CUDA

DONE, PAUSED, FAILED, OPEN, SKIPPED = "done", "paused", "failed", "open", "skipped"
#: What becomes of a cell that another process trains: nothing is done.
BUSY = "busy"
MACHINE = "machine.json"
#: Between two lines of progress.
LINE_S = 30.0


class Paused(Exception):  # noqa: N818  (no error: the run goes on another time)
    """The time is up; the run has a checkpoint or has hardly begun."""


@dataclass(frozen=True)
class Clock:
    """How long this call may take.

    Attributes:
        start: when this call began, on `time.monotonic`, which is the same in all processes.
        deadline: when it is to end, on the same clock; None for as long as it takes.
        stopped: whether the user has asked to stop.
    """

    start: float
    deadline: float | None = None
    stopped: Callable[[], bool] = lambda: False

    def is_over(self) -> bool:
        """Whether nothing more should be begun."""
        return self.stopped() or (self.deadline is not None and time.monotonic() >= self.deadline)

    def would_pass(self, seconds: float) -> bool:
        """Whether something that takes so long would end after the deadline."""
        return self.deadline is not None and time.monotonic() + seconds > self.deadline

    def is_most(self, seconds: float) -> bool:
        """Whether so long is at least half of what there was in all."""
        return self.deadline is not None and seconds >= (self.deadline - self.start) / 2


class Watch(Listener):
    """Says how a run goes and pauses it when the time is up, where little is lost: just after a checkpoint.

    A run that has worked for most of the time and has no checkpoint yet goes on to its first: otherwise it would never end.
    """

    def __init__(self, title: str, config: TrainConfig, clock: Clock, say: Callable[[str], None]) -> None:
        self._title, self._config, self._clock, self._say = title, config, clock, say
        self._began = self._shown = self._saved = time.monotonic()
        self._interval = 0.0
        self._checkpoints = 0
        self._epoch_ends = False
        self._first = self._total = 0

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """Say where it begins."""
        self._first, self._total = step + 1, total_steps
        self._began = self._shown = self._saved = time.monotonic()
        self._say(f"{self._title}: {f'goes on at step {step}' if step else 'begins'} of {total_steps} steps")

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """Pause if it is time; a line every now and then."""
        if self._epoch_ends or (step - 1) % self._config.checkpoint_steps == 0:
            self._checkpointed(step)
        if self._clock.stopped():
            raise Paused
        if self._clock.is_over() and (self._checkpoints or not self._clock.is_most(time.monotonic() - self._began)):
            raise Paused
        if time.monotonic() - self._shown >= LINE_S:
            self._shown = time.monotonic()
            left = (time.monotonic() - self._began) / (step - self._first + 1) * (self._total - step)
            words = f"step {step} of {self._total}, loss {losses[-1]:.3f}, about {duration_text(left)} left"
            self._say(f"{self._title}: {words}")

    def said(self, text: str) -> None:
        """Say it."""
        self._say(f"{self._title}: {text}")

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Say how good it is; a checkpoint follows."""
        self._epoch_ends = True
        self._say(f"{self._title}: epoch {epoch}, {metric_text(metrics)}")

    def _checkpointed(self, step: int) -> None:
        """The trainer has written a checkpoint before this step, unless it is the first step of this call."""
        self._epoch_ends = False
        if step == self._first:
            return
        now = time.monotonic()
        self._interval, self._saved = now - self._saved, now
        self._checkpoints += 1
        if self._clock.would_pass(self._interval):
            raise Paused


def run_cell(
    cell: Cell, runs: Path, clock: Clock, data_dir: Path | None = None, say: Callable[[str], None] | None = None
) -> str:
    """Train a cell as far as the clock lets it; one that is whole or failed, or that another process trains, is left as it is.

    Args:
        cell: what to train.
        runs: where the runs' folders are.
        clock: how much time is left.
        data_dir: folder with the data set's files; by default found.
        say: told how it goes, a line at a time; by default on stderr.

    Returns:
        DONE, PAUSED, FAILED or BUSY; SKIPPED if it cannot be run.

    Raises:
        ConfigError: its folder holds a run of another recipe. DataError: the data set is missing. StorageError: disk refuses.
    """
    if cell.config is None:
        return SKIPPED
    with claimed(cell.folder, runs) as ours:
        if not ours:
            return BUSY
        return _trained(cell, cell.config, runs, clock, data_dir, say or _say)


def _trained(
    cell: Cell, config: TrainConfig, runs: Path, clock: Clock, data_dir: Path | None, say: Callable[[str], None]
) -> str:
    """See `run_cell`."""
    folder = runs / cell.folder
    state = state_of(cell, runs)
    if state in (DONE, FAILED):
        return state
    watch = Watch(cell.title, config, clock, say)
    try:
        if state == OPEN:
            with storage_errors(folder):
                shutil.rmtree(folder, ignore_errors=True)  # nothing but the traces of a start that was cut off
            train(config, folder, data_dir=data_dir, listener=watch)
        else:
            resume(folder, data_dir=data_dir, listener=watch, how={name: getattr(config, name) for name in HOW})
    except Paused:
        return PAUSED
    except EdgebllError as error:
        if type(error) is not EdgebllError:  # the families are mistakes, or for the user to mend
            raise
        write_json(_failure(cell, runs), {"reason": str(error)})
        return FAILED
    write_json(folder / MACHINE, {"machine": machine(describe_gpu() if config.device == CUDA else "")})
    return DONE


def state_of(cell: Cell, runs: Path) -> str:
    """How far a cell is: DONE, PAUSED (begun), FAILED, SKIPPED or OPEN.

    Raises:
        ConfigError: its folder holds a run of another recipe.
    """
    folder = runs / cell.folder
    if cell.config is None:
        return SKIPPED
    if not (folder / CONFIG).is_file():
        return OPEN
    _check_same(cell.config, folder)
    if (folder / SUMMARY).is_file():
        return DONE
    return FAILED if _failure(cell, runs).is_file() else PAUSED


def outcome_of(cell: Cell, runs: Path) -> dict[str, Any]:
    """What came of a cell: its state, and what is known of the accuracy, the time and the machine."""
    state = state_of(cell, runs)
    if state == DONE:
        _, summary = open_run(runs / cell.folder)
        wanted = ("accuracy", "seconds", "epochs", "samples", "test_samples", "data", "data_source", "threads")
        found = {name: summary[name] for name in wanted}
        found |= {name: summary[name] for name in (*HOW, "heads", "metrics") if name in summary}  # earlier releases told none
        return {"state": state, **found, "machine": _read(runs / cell.folder / MACHINE, "machine")}
    if state == FAILED:
        return {"state": state, "reason": _read(_failure(cell, runs), "reason")}
    return {"state": state, "reason": cell.reason}


def _check_same(config: TrainConfig, folder: Path) -> None:
    """Raise ConfigError unless the folder's run was told the same; an option its release did not have yet is at its default."""
    try:
        record = parse_run(read_config(folder), folder)
        recorded = record.config.completed()
    except (BundleError, ConfigError) as error:
        raise ConfigError(f"{error}; or remove {folder}") from error
    ignored = {name for name in NO_CHOICE if name not in ("seed", "rule", "rule_options")}
    if config.task is None and not record.task_named:
        ignored |= {"task", "task_options"}  # the data suggested it then, and do so again
    for field in dataclasses.fields(TrainConfig):
        old, new = getattr(recorded, field.name), getattr(config, field.name)
        if field.name == "data_options" and same_told(recorded.data, old, new):
            continue
        if old != new and field.name not in ignored:
            raise ConfigError(
                f"{folder} holds a run with {field.name} {old!r}, but the recipe now says "
                f"{'nothing of it' if new is None else repr(new)}; "
                "choose another --out or remove that folder"
            )


def _failure(cell: Cell, runs: Path) -> Path:
    return runs / f"{cell.folder}.failed.json"


def _read(path: Path, name: str) -> str:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        return str(json.loads(path.read_bytes()).get(name, ""))
    return ""


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")  # in one piece: other processes write there too
    sys.stderr.flush()
