"""What the host learns while a run goes on: metrics, progress, and when each block worked on which token."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from edgebll.errors import BoardError
from edgebll.files import write_json
from edgebll.runfolder import RunFolder
from edgebll.wire import EVAL, TRAIN, Report
from edgebll_firmware_host.snapshots import Progress

#: Spans kept for the timeline; a longer run keeps its first ones.
MAX_SPANS = 50_000
TIMELINE = "timeline.json"
#: What the last block reports of an evaluated batch: the first two are sums over its `count` samples.
_SCORES = frozenset(("correct", "loss_sum", "count"))


class Listener(Protocol):
    """Shows progress; `edgebll.cli.progress.RunProgress` is one."""

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """The run starts at `step` of `total_steps`."""

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """`step` steps are done."""

    def evaluated(self, epoch: int, step: int, accuracy: float, loss: float) -> None:
        """The network was evaluated."""

    def said(self, text: str) -> None:
        """A board tells what takes it long, in one sentence that begins with its name."""


@dataclass(frozen=True)
class Span:
    """A block applied a token on a board; nanoseconds of the board's monotonic clock."""

    board: str
    block: str
    kind: str
    sequence: int
    step: int
    start_ns: int
    end_ns: int


@dataclass
class Recorder:
    """Takes every Report of a run, and records each training step and evaluation once, however often it is replayed.

    Attributes:
        folder: where metrics go. listener: who is told of progress. blocks: in stream order.
        batch_size, steps_per_epoch, test_samples: of the stream.
        accuracy, loss: of the last evaluation, None before the first.
        steps: training steps the last block has applied. busy_ns: computing time by block.
        clock_offsets: board -> its monotonic clock minus the host's in ns, as known last.
        recorded: block -> training steps recorded. evaluated: step of the last evaluation recorded, None before the first.
        news: grows with each training step and evaluation that was not recorded before.
        earlier_s: how long the run took before this process began to record it.
    """

    folder: RunFolder
    listener: Listener
    blocks: tuple[str, ...]
    batch_size: int
    steps_per_epoch: int
    test_samples: int
    accuracy: float | None = None
    loss: float | None = None
    steps: int = 0
    busy_ns: dict[str, int] = field(default_factory=dict)
    clock_offsets: dict[str, int] = field(default_factory=dict)
    recorded: dict[str, int] = field(default_factory=dict)
    evaluated: int | None = None
    news: int = 0
    earlier_s: float = 0.0
    _started_s: float = field(default_factory=time.monotonic)
    spans: list[Span] = field(default_factory=list)
    _losses: dict[str, float] = field(default_factory=dict)
    _totals: dict[str, float] = field(default_factory=dict)

    def take(self, board: str, report: Report, clock_offset_ns: int) -> None:
        """Record one Report; `clock_offset_ns` is the board's clock minus the host's, as known by now.

        Raises:
            BoardError: the last block's evaluation lacks a value. StorageError: the disk refuses.
        """
        self.clock_offsets[board] = clock_offset_ns
        self.busy_ns[report.block] = self.busy_ns.get(report.block, 0) + report.end_ns - report.start_ns
        if len(self.spans) < MAX_SPANS:
            where = (board, report.block, report.kind, report.sequence, report.step)
            self.spans.append(Span(*where, report.start_ns, report.end_ns))
        if report.kind == TRAIN:
            self._trained(report)
        elif report.kind == EVAL and report.block == self.blocks[-1]:
            self._evaluated(board, report)

    def progress(self) -> Progress:
        """How far the record is, for a snapshot."""
        seconds = self.earlier_s + time.monotonic() - self._started_s
        recorded = dict(self.recorded)
        return Progress(self.folder.flush(), recorded, self.evaluated, self.accuracy, self.loss, seconds)

    def go_on(self, progress: Progress) -> None:
        """Go on with a record that another process began; the folder was opened at `progress.metrics_bytes`."""
        self.recorded, self.evaluated, self.earlier_s = dict(progress.recorded), progress.evaluated, progress.seconds
        self.accuracy, self.loss = progress.accuracy, progress.loss
        self.steps = self.recorded.get(self.blocks[-1], 0)

    def begin_incarnation(self) -> None:
        """Forget an evaluation that was cut off: a new incarnation begins before it, never in it."""
        self._totals.clear()

    def _epoch(self, step: int) -> int:
        return step // self.steps_per_epoch if self.steps_per_epoch else 0

    def _trained(self, report: Report) -> None:
        if report.step < self.recorded.get(report.block, 0):
            return  # replayed
        self.recorded[report.block] = report.step + 1
        self.news += 1
        self.folder.record(TRAIN.lower(), epoch=self._epoch(report.step), step=report.step, block=report.block, **report.values)
        self._losses[report.block] = report.values.get("loss", float("nan"))
        if report.block == self.blocks[-1]:
            self.steps = report.step + 1
            self.listener.stepped(self.steps, [self._losses.get(b, float("nan")) for b in self.blocks], self.batch_size)

    def _evaluated(self, board: str, report: Report) -> None:
        if _SCORES - report.values.keys() or not report.values["count"] > 0:
            raise BoardError(f"board {board} reports an evaluation without {', '.join(sorted(_SCORES))}; update edgebll there")
        if self.evaluated is not None and report.step <= self.evaluated:
            return  # replayed
        for name in _SCORES:
            self._totals[name] = self._totals.get(name, 0.0) + report.values[name]
        if self._totals["count"] < self.test_samples:
            return
        self.accuracy = self._totals["correct"] / self._totals["count"]
        self.loss = self._totals["loss_sum"] / self._totals["count"]
        self._totals.clear()
        self.evaluated = report.step
        self.news += 1
        epoch = self._epoch(report.step)
        self.folder.record("eval", epoch=epoch, step=report.step, accuracy=self.accuracy, loss=self.loss)
        self.listener.evaluated(epoch, report.step, self.accuracy, self.loss)

    def busy_fractions(self, seconds: float) -> dict[str, float]:
        """Computing time of each block as a fraction of the run."""
        return {block: self.busy_ns.get(block, 0) / 1e9 / seconds if seconds > 0 else 0.0 for block in self.blocks}

    def write_timeline(self) -> None:
        """Write timeline.json, a Chrome trace: one process a board, one thread a block. Opens in Perfetto."""
        if self.spans:
            write_json(
                self.folder.path / TIMELINE, {"traceEvents": chrome_trace(self._on_one_clock()), "displayTimeUnit": "ms"}
            )

    def _on_one_clock(self) -> list[Span]:
        """The spans by the host's clock; only now are the offsets known as well as they will be."""
        offsets = {span.board: self.clock_offsets[span.board] for span in self.spans}
        return [
            replace(span, start_ns=span.start_ns - offsets[span.board], end_ns=span.end_ns - offsets[span.board])
            for span in self.spans
        ]


def chrome_trace(spans: Sequence[Span]) -> list[dict[str, Any]]:
    """Chrome trace events of spans; times in microseconds from the first."""
    boards = {name: index + 1 for index, name in enumerate(dict.fromkeys(span.board for span in spans))}
    blocks = {name: index + 1 for index, name in enumerate(dict.fromkeys(span.block for span in spans))}
    pairs = dict.fromkeys((span.board, span.block) for span in spans)
    events = [_named("process_name", boards[board], 0, board) for board in boards]
    events += [_named("thread_name", boards[board], blocks[block], block) for board, block in pairs]
    first = min(span.start_ns for span in spans)
    for span in spans:
        events.append(
            {
                "name": f"{span.kind} {span.step if span.kind == TRAIN else span.sequence}",
                "ph": "X",
                "ts": (span.start_ns - first) / 1000,
                "dur": (span.end_ns - span.start_ns) / 1000,
                "pid": boards[span.board],
                "tid": blocks[span.block],
                "args": {"sequence": span.sequence, "step": span.step},
            }
        )
    return events


def _named(what: str, process: int, thread: int, name: str) -> dict[str, Any]:
    arguments: Mapping[str, str] = {"name": name}
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": arguments}
