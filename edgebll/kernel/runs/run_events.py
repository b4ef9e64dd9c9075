"""What a run tells whoever started it from Python: a few kinds of events, given to a callback one after another.

A callback is called in the thread that called `train`, `simulate` or `run`, between two steps, so it should be quick. What it
raises ends the run in order, as Ctrl-C does: the run stays unfinished and can be resumed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from edgebll.kernel.runs.run_result import RunResult


@dataclass(frozen=True)
class RunEvent:
    """Something happened; `kind` says what: "started", "step", "evaluated", "recovered", "notice" or "finished"."""

    kind: ClassVar[str] = ""


@dataclass(frozen=True)
class RunStarted(RunEvent):
    """Training begins.

    Attributes:
        blocks: names of the blocks, in order.
        step: training steps done before; above 0 where a run goes on.
        total_steps: training steps of the whole run.
    """

    blocks: tuple[str, ...]
    step: int
    total_steps: int
    kind: ClassVar[str] = "started"


@dataclass(frozen=True)
class RunStep(RunEvent):
    """A training step was applied by the last block.

    Attributes:
        step: training steps done.
        losses: the latest loss of every block, in order; NaN where none is known yet, or a block has nothing to train.
        samples: samples of the step.
    """

    step: int
    losses: tuple[float, ...]
    samples: int
    kind: ClassVar[str] = "step"


@dataclass(frozen=True)
class RunEvaluated(RunEvent):
    """The network was evaluated on the test data.

    Attributes:
        epoch: passes over the training data before it.
        step: training steps before it.
        metrics: the task's by name, and "loss".
    """

    epoch: int
    step: int
    metrics: dict[str, float]
    kind: ClassVar[str] = "evaluated"

    @property
    def accuracy(self) -> float | None:
        """Part of the labels found, 0 to 1; None where the task has no accuracy."""
        return self.metrics.get("accuracy")

    @property
    def loss(self) -> float:
        """The task's mean loss; for classification cross-entropy, nats."""
        return self.metrics["loss"]


@dataclass(frozen=True)
class RunRecovered(RunEvent):
    """A run over boards goes on after a failure.

    Attributes:
        reason: what failed, in a sentence.
        board: the board that failed, or None where that is not known.
        step: the training step it goes on from.
        seconds: from the failure until all blocks were ready again.
    """

    reason: str
    board: str | None
    step: int
    seconds: float
    kind: ClassVar[str] = "recovered"


@dataclass(frozen=True)
class RunNotice(RunEvent):
    """Something worth knowing, e.g. a board that builds an engine, or a picture that could not be drawn.

    Attributes:
        text: a sentence.
    """

    text: str
    kind: ClassVar[str] = "notice"


@dataclass(frozen=True)
class RunFinished(RunEvent):
    """The run is whole.

    Attributes:
        result: what came of it.
    """

    result: RunResult
    kind: ClassVar[str] = "finished"


#: Takes the events of a run.
EventCallback = Callable[[RunEvent], None]
