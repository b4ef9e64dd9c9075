"""What the host learns while a run goes on: metrics, progress, and what it costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgebll.kernel.errors import BoardError
from edgebll.kernel.runs.divergence import LossWatch
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.tasks import CLASSIFICATION, Task
from edgebll.kernel.wire import EVAL, TRAIN, Report
from edgebll_firmware_host.run_files.cost_account import Account
from edgebll_firmware_host.run_files.snapshot_store import RecordedProgress


@dataclass
class Recorder:
    """Takes every Report of a run, and records each training step and evaluation once, however often it is replayed.

    Attributes:
        folder: where metrics go.
        listener: who is told of progress.
        blocks: in stream order.
        batch_size: samples of every training step.
        steps_per_epoch: training steps of an epoch; 0 where there is none.
        test_samples: samples of every evaluation.
        task: makes figures of what the last block reports of evaluated batches, which are sums over their samples.
        metrics: figures of the last evaluation by name, empty before the first.
        steps: training steps the last block has applied.
        account: of what the run costs.
        recorded: block -> training steps recorded.
        evaluated: step of the last evaluation recorded, None before the first.
        news: grows with each training step and evaluation that was not recorded before.
        rate: gives the learning rate of a training step, for its record; None leaves it out.
    """

    folder: RunFolder
    listener: Listener
    blocks: tuple[str, ...]
    batch_size: int
    steps_per_epoch: int
    test_samples: int
    task: Task = CLASSIFICATION
    metrics: dict[str, float] = field(default_factory=dict)
    steps: int = 0
    recorded: dict[str, int] = field(default_factory=dict)
    evaluated: int | None = None
    news: int = 0
    rate: Callable[[int], float] | None = None
    account: Account = field(init=False)
    _losses: dict[str, float] = field(default_factory=dict)
    _totals: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.account = Account(self.folder.path)
        self._watch = LossWatch(self.blocks)

    @property
    def accuracy(self) -> float | None:
        """Of the last evaluation; None before the first, and where the task has none."""
        return self.metrics.get("accuracy")

    @property
    def loss(self) -> float | None:
        """Of the last evaluation; None before the first."""
        return self.metrics.get("loss")

    def take(self, board: str, report: Report, clock_offset_ns: int) -> None:
        """Record one Report; `clock_offset_ns` is the board's clock minus the host's, as known by now.

        Raises:
            BoardError: the last block's evaluation lacks a value. StorageError: the disk refuses. EdgebllError: the loss of a
                step that all blocks have done is no number.
        """
        self.account.run = self.folder.path
        self.account.count(board, report, clock_offset_ns)
        if report.kind == TRAIN:
            self._trained(report)
            self._watch.take(report.block, report.step + 1, report.values.get("loss", 0.0))  # replayed or not
        elif report.kind == EVAL and report.block == self.blocks[-1]:
            self._evaluated(board, report)

    def progress(self) -> RecordedProgress:
        """How far the record is, for a snapshot."""
        self.account.write()
        recorded, seconds = dict(self.recorded), self.account.seconds()
        figures = (self.accuracy, self.loss, seconds, dict(self.metrics))
        return RecordedProgress(self.folder.flush(), recorded, self.evaluated, *figures)

    def go_on(self, progress: RecordedProgress) -> None:
        """Go on with a record that another process began; the folder was opened at `progress.metrics_bytes`."""
        self.recorded, self.evaluated = dict(progress.recorded), progress.evaluated
        self.metrics = progress.figures
        self.steps = self.recorded.get(self.blocks[-1], 0)
        self.account.go_on(self.steps, progress.seconds)

    def begin_incarnation(self) -> None:
        """All blocks are ready. Forget an evaluation that was cut off: a new incarnation begins before it, never in it."""
        self._totals.clear()
        self.account.begin()

    def _epoch(self, step: int) -> int:
        return step // self.steps_per_epoch if self.steps_per_epoch else 0

    def _trained(self, report: Report) -> None:
        if report.step < self.recorded.get(report.block, 0):
            return  # replayed
        self.recorded[report.block] = report.step + 1
        self.news += 1
        where: dict[str, Any] = {"epoch": self._epoch(report.step), "step": report.step, "block": report.block, "time": _now()}
        if self.rate is not None:
            where["lr"] = self.rate(report.step)
        self.folder.record(TRAIN.lower(), **{**where, **report.values, **where})
        self._losses[report.block] = report.values.get("loss", float("nan"))
        if report.block == self.blocks[-1]:
            self.steps = report.step + 1
            self.listener.stepped(self.steps, [self._losses.get(b, float("nan")) for b in self.blocks], self.batch_size)

    def _evaluated(self, board: str, report: Report) -> None:
        self._check_sums(board, report.values)
        if self.evaluated is not None and report.step <= self.evaluated:
            return  # replayed
        for name in sorted(report.values):
            self._totals[name] = self._totals.get(name, 0.0) + report.values[name]
        if self._totals["count"] < self.test_samples:
            return
        self.metrics = self.task.results(self._totals)
        self._totals.clear()
        self.evaluated = report.step
        self.news += 1
        epoch = self._epoch(report.step)
        self.folder.record("eval", epoch=epoch, step=report.step, time=_now(), **self.metrics)
        self.listener.evaluated(epoch, report.step, self.metrics)

    def _check_sums(self, board: str, values: Mapping[str, float]) -> None:
        """Raise BoardError unless they are sums that the task makes figures of."""
        try:
            known = values["count"] > 0 and (not self._totals or self._totals.keys() == values.keys())
            self.task.results(values)
        except (KeyError, ValueError, ArithmeticError):
            known = False
        if not known:
            raise BoardError(f"board {board} reports an evaluation that {self.task.name} cannot count; update edgebll there")


def _now() -> float:
    """Unix time in seconds, to the millisecond."""
    return round(time.time(), 3)
