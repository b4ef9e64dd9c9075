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
        accuracy: part of the labels found, 0 to 1; None where nothing was evaluated.
        loss: mean cross-entropy of the evaluation, nats; None where nothing was evaluated.
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

    def __fspath__(self) -> str:
        return str(self.path)
