"""Who is told how a run goes: a bar on a terminal, or a callback of a Python program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edgebll.kernel.runs.run_events import (
    EventCallback,
    RunEvaluated,
    RunFinished,
    RunNotice,
    RunRecovered,
    RunStarted,
    RunStep,
)
from edgebll.kernel.runs.run_result import RunResult


class Listener:
    """Is told how a run goes; every hook does nothing unless overridden."""

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """Training begins at `step` of `total_steps`, which is above 0 for a resumed run."""

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """`step` steps are done; `losses` by block, of the last one, over `samples` samples."""

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """The network was evaluated after `epoch` epochs; `metrics` are the task's, and "loss"."""

    def said(self, text: str) -> None:
        """What takes long is told before it begins, in a sentence; a board's begins with its name."""

    def noted(self, text: str) -> None:
        """Something else worth knowing, in a sentence."""

    def recovered(self, reason: str, board: str | None, step: int, seconds: float) -> None:
        """A run over boards goes on from `step`, so many seconds after a failure."""

    def finished(self, result: RunResult) -> None:
        """The run is whole."""


class EventListener(Listener):
    """Makes events of what it is told.

    Args:
        callback: takes them.
    """

    def __init__(self, callback: EventCallback) -> None:
        self._callback = callback

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """Training begins."""
        self._callback(RunStarted(tuple(blocks), step, total_steps))

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """A step is done."""
        self._callback(RunStep(step, tuple(losses), samples))

    def evaluated(self, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """The network was evaluated."""
        self._callback(RunEvaluated(epoch, step, dict(metrics)))

    def said(self, text: str) -> None:
        """Something takes long."""
        self._callback(RunNotice(text))

    def noted(self, text: str) -> None:
        """Something is worth knowing."""
        self._callback(RunNotice(text))

    def recovered(self, reason: str, board: str | None, step: int, seconds: float) -> None:
        """The run goes on after a failure."""
        self._callback(RunRecovered(reason, board, step, seconds))

    def finished(self, result: RunResult) -> None:
        """The run is whole."""
        self._callback(RunFinished(result))


def as_listener(progress: EventCallback | Listener | None) -> Listener:
    """Whom to tell: a callback of events, a listener as it is, or nobody."""
    if progress is None:
        return Listener()
    return progress if isinstance(progress, Listener) else EventListener(progress)
