"""How a run shows that it is alive: a bar on a terminal, a plain line every few seconds elsewhere. On stderr."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING

from edgebll.cli.output import printable, say
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.metric_text import metric_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

#: Between two plain lines.
LINE_S = 5.0
#: Between two updates of the bar, and how far back the throughput looks.
_UPDATE_S, _RATE_S = 0.1, 5.0
_SMOOTH = 0.95


class RunProgress(Listener):
    """Progress of a run over steps; a context manager, and a listener.

    Args:
        title: what is going on, e.g. "training".
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._blocks: Sequence[str] = ()
        self._total = 0
        self._losses: list[float] = []
        self._times: deque[tuple[float, int]] = deque()
        self._shown = 0.0
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """The run starts at `step` of `total_steps`."""
        self._blocks, self._total = list(blocks), total_steps
        self._shown = time.monotonic()
        if step:
            say(f"edgebll: going on from step {step} of {total_steps}")
        if sys.stderr.isatty():
            self._bar = _make_bar()
            self._bar.start()
            self._task = self._bar.add_task(self.title, total=total_steps, completed=step, note="")

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """`step` steps are done; `losses` by block, over `samples` samples."""
        old = self._losses or losses
        self._losses = [_smoothed(a, b) for a, b in zip(old, losses, strict=True)]
        now = time.monotonic()
        self._times.append((now, samples))
        while self._times[0][0] < now - _RATE_S and len(self._times) > 2:
            self._times.popleft()
        if now - self._shown >= (_UPDATE_S if self._bar is not None else LINE_S):
            self._shown = now
            self._show(step)

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """The network was evaluated."""
        text = f"epoch {epoch}: {metric_text(metrics)} (step {step} of {self._total})"
        if self._bar is None:
            say(text)
            return
        self._show(step)
        self._bar.console.print(text, highlight=False)

    def said(self, text: str) -> None:
        """What takes long is told, such as a recovery: its time says nothing of how fast the steps on either side of it are."""
        self._times.clear()
        if self._bar is None:
            say(text)
        else:
            self._bar.console.print(printable(text), highlight=False, markup=False)

    def noted(self, text: str) -> None:
        """What edgebll itself has to tell."""
        self.said(f"edgebll: {text}")

    def _show(self, step: int) -> None:
        note = "  ".join((f"loss {' '.join(map(_loss, self._losses))}", *self._rate()))
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=step, note=note)
            return
        named = " ".join(f"{block} {_loss(value)}" for block, value in zip(self._blocks, self._losses, strict=True))
        say(", ".join((f"{self.title}: step {step} of {self._total}, loss {named}", *self._rate())))

    def _rate(self) -> tuple[str, ...]:
        """Samples a second over the last few seconds; nothing where there is only one step to tell from."""
        elapsed = self._times[-1][0] - self._times[0][0] if self._times else 0.0
        if elapsed <= 0:
            return ()
        return (f"{sum(samples for _, samples in list(self._times)[1:]) / elapsed:.0f} samples/s",)

    def __enter__(self) -> RunProgress:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()


def _make_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(bar_width=None, complete_style="#0072B2", finished_style="#009E73"),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        expand=True,
    )


def _smoothed(old: float, new: float) -> float:
    """A running mean; a block that has not reported yet has no loss (NaN), and none later where one is missing."""
    if math.isnan(old) or math.isnan(new):
        return old if math.isnan(new) else new
    return _SMOOTH * old + (1 - _SMOOTH) * new


def _loss(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
