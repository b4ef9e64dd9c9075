"""Folders of runs as the trainer leaves them, with figures of a test's choice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

#: What a run of the trainer wrote into run.json.
TRAINED = Path(__file__).parents[1] / "data" / "first_format" / "trained" / "run.json"


def write_run(path: Path, seed: int, accuracies: Sequence[float], **changes: Any) -> Path:
    """Write a whole run whose evaluations, 10 steps apart, found these accuracies; the last one is the result.

    Args:
        path: its folder.
        seed: of the run.
        accuracies: in [0, 1].
        **changes: to run.json.
    """
    path.mkdir(parents=True)
    config = json.loads(TRAINED.read_text())
    (path / "run.json").write_text(json.dumps({**config, "seed": seed, **changes}))
    lines = [
        {"kind": "eval", "epoch": n, "step": 10 * n, "accuracy": one, "loss": 1 - one} for n, one in enumerate(accuracies, 1)
    ]
    train = {"kind": "train", "epoch": 0, "step": 0, "block": "block0", "loss": 2.5}
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [train, *lines]))
    summary = {"kind": "train", "accuracy": accuracies[-1], "loss": 1 - accuracies[-1], "seconds": 2.0 + seed, "threads": 1}
    (path / "summary.json").write_text(json.dumps(summary))
    return path


def write_group(folder: Path, name: str, accuracies: Sequence[float], first_seed: int = 0, **changes: Any) -> list[Path]:
    """One run a seed, in folders NAME-SEED."""
    return [
        write_run(folder / f"{name}-{seed}", seed, [one / 2, one], **changes) for seed, one in enumerate(accuracies, first_seed)
    ]


def rewrite(path: Path, changes: Mapping[str, Any]) -> None:
    """Change entries of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
