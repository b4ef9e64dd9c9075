"""Checkpoints: the state of every block and how far the run was, as one folder that is swapped in whole.

    RUN/checkpoint/block0.safetensors ...   the states
    RUN/checkpoint/streams.safetensors      what waits on side streams, as "target/source/number/tensor"; only if there are any
    RUN/checkpoint/progress.json            `TrainingProgress`, written last

While a new checkpoint takes the old one's place, the old one is `checkpoint.old`; whichever is whole is found again.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from edgebll.kernel.bundle import check_state
from edgebll.kernel.errors import BundleError
from edgebll.kernel.runs.run_lock import CHECKPOINT
from edgebll.kernel.spec.manifest import BlockSpec
from edgebll.kernel.state.block_state import Array, load_tensors, save_tensors, state_sha256
from edgebll.kernel.state.side_stream_queues import flatten, nest
from edgebll.kernel.support.atomic_files import storage_errors, write_json
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain, to_plain
from edgebll.learning.side_stream_exchange import Waiting

PROGRESS = "progress.json"
STREAMS = "streams.safetensors"
INITIAL = "initial"
#: Block name -> state.
States = dict[str, dict[str, Tensor]]


@dataclass(frozen=True)
class TrainingProgress:
    """How far a run was.

    Attributes:
        step: training steps done.
        metrics_bytes: size of metrics.jsonl then.
        state_sha256: over all states.
        accuracy: of the last evaluation, in [0, 1]; None before the first, and where the task has none.
        loss: mean loss of the last evaluation; None before the first.
        train_seconds: spent on training steps, without compiling them.
        seconds: since the start, over all resumptions.
        streams_sha256: over what waits on side streams; empty if there are none.
        metrics: all of the last evaluation; empty before the first, and in runs of releases that knew accuracy alone.
    """

    step: int
    metrics_bytes: int
    state_sha256: str
    accuracy: float | None
    loss: float | None
    train_seconds: float
    seconds: float
    streams_sha256: str = ""
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def evaluated(self) -> dict[str, float]:
        """Figures of the last evaluation; empty before the first."""
        if self.metrics or self.accuracy is None or self.loss is None:
            return self.metrics
        return {"accuracy": self.accuracy, "loss": self.loss}

    @classmethod
    def none(cls) -> TrainingProgress:
        """That of a run before its first step."""
        return cls(0, 0, "", None, None, 0.0, 0.0)


@dataclass(frozen=True)
class Checkpoint:
    """All a run goes on from.

    Attributes:
        states: of every block.
        waiting: what waits for blocks on side streams; None for what waits before the first step.
    """

    states: States
    progress: TrainingProgress
    waiting: Waiting | None = None


def digest(states: Mapping[str, Mapping[str, Tensor]]) -> str:
    """SHA-256 over all states, as `edgebll.kernel.state.block_state.state_sha256` defines it."""
    return state_sha256({block: _arrays(state) for block, state in states.items()})


def save_states(folder: Path, states: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Write one safetensors file a block.

    Raises:
        StorageError: the disk refuses.
    """
    for block, state in states.items():
        save_tensors(folder / f"{block}.safetensors", _arrays(state))


def load_states(folder: Path, specs: Sequence[BlockSpec]) -> States:
    """Read what `save_states` wrote.

    Raises:
        BundleError: a file is missing, damaged or of another network.
    """
    states: States = {}
    for spec in specs:
        path = folder / f"{spec.name}.safetensors"
        arrays = load_tensors(path)
        check_state(spec, arrays, str(path))
        states[spec.name] = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    return states


def save_checkpoint(run: Path, checkpoint: Checkpoint) -> None:
    """Make this the run's checkpoint.

    Raises:
        StorageError: the disk refuses; the last checkpoint is still there.
    """
    current, old, new = run / CHECKPOINT, run / f"{CHECKPOINT}.old", run / f"{CHECKPOINT}.partial"
    with storage_errors(new):
        if new.exists():
            shutil.rmtree(new)
        new.mkdir()
    save_states(new, checkpoint.states)
    streams: dict[str, Array] = _arrays(flatten(checkpoint.waiting or {}))
    if streams:
        save_tensors(new / STREAMS, streams)
    write_json(new / PROGRESS, to_plain(replace(checkpoint.progress, streams_sha256=_streams_digest(streams))))
    with storage_errors(current):
        if current.exists():
            if old.exists():
                shutil.rmtree(old)
            os.replace(current, old)
        os.replace(new, current)
        shutil.rmtree(old, ignore_errors=True)


def has_checkpoint(run: Path) -> bool:
    """Whether a run has a checkpoint, whole or damaged."""
    return _newest(run) is not None


def _newest(run: Path) -> Path | None:
    return next((f for f in (run / CHECKPOINT, run / f"{CHECKPOINT}.old") if (f / PROGRESS).is_file()), None)


def load_checkpoint(run: Path, specs: Sequence[BlockSpec]) -> Checkpoint | None:
    """The run's last checkpoint, or None if it has none yet.

    Raises:
        BundleError: it is damaged or belongs to another network.
    """
    folder = _newest(run)
    if folder is None:
        return None
    try:
        progress = from_plain(TrainingProgress, json.loads((folder / PROGRESS).read_bytes()), str(folder / PROGRESS))
    except (OSError, ValueError) as error:  # PlainError and JSON's error are ValueErrors
        reason = str(error) if isinstance(error, PlainError) else f"{folder / PROGRESS} cannot be read ({error})"
        raise BundleError(f"{reason}; train again") from error
    states = load_states(folder, specs)
    streams = load_tensors(folder / STREAMS) if progress.streams_sha256 else {}
    if digest(states) != progress.state_sha256 or _streams_digest(streams) != progress.streams_sha256:
        raise BundleError(f"{folder} is damaged: its states have another SHA-256 than {PROGRESS} says; train again")
    waiting = nest({path: torch.from_numpy(array.copy()) for path, array in streams.items()}) if streams else None
    return Checkpoint(states, progress, waiting)


def _streams_digest(streams: Mapping[str, Array]) -> str:
    return state_sha256({"streams": streams}) if streams else ""


def _arrays(state: Mapping[str, Tensor]) -> dict[str, Array]:
    return {name: _array(value) for name, value in state.items()}


def _array(value: Tensor) -> Array:
    """What a tensor holds, in the plain order, wherever and however it lies."""
    array: Array = value.detach().cpu().contiguous().numpy()
    return array
