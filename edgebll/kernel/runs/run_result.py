"""What a run from Python gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class RunResult:
    """What came of `train`, `simulate`, `run` or `evaluate`; it can be given wherever the path of a run is taken.

    Attributes:
        path: the run folder, or what was evaluated.
        accuracy: part of the labels found, 0 to 1; None where nothing was evaluated, or the task has no accuracy.
        loss: the task's mean loss of the evaluation, for classification in nats; None where nothing was evaluated.
        state_sha256: SHA-256 of the states of all blocks: equal bits, equal text.
        summary: everything else, as summary.json or `--json` has it.

    Examples:
        >>> from edgebll import RunResult
        >>> RunResult.of("runs/mine", {"accuracy": 0.9, "loss": 0.3, "state_sha256": "ab12", "steps": 20})
        RunResult(path=PosixPath('runs/mine'), accuracy=0.9, loss=0.3, state_sha256='ab12')
    """

    path: Path
    accuracy: float | None
    loss: float | None
    state_sha256: str
    summary: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, path: Path | str, summary: Mapping[str, Any]) -> RunResult:
        """The result of a run with this summary.

        Args:
            path: the run folder.
            summary: what summary.json holds.
        """
        return cls(Path(path), summary["accuracy"], summary["loss"], summary["state_sha256"], dict(summary))

    @property
    def metrics(self) -> dict[str, float]:
        """All figures of the evaluation by name, the task's and "loss"; empty where nothing was evaluated."""
        if "metrics" in self.summary:
            return dict(self.summary["metrics"])
        found = {"accuracy": self.accuracy, "loss": self.loss}  # of a run written before tasks had metrics of their own
        return {name: value for name, value in found.items() if value is not None}

    def __fspath__(self) -> str:
        return str(self.path)
