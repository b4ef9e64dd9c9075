"""The sequential trainer: the training steps of all blocks, one batch after another, in this process."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from edgebll.data import Dataset, batch_order, check_augmentation, load_dataset, training_batch
from edgebll.errors import ConfigError, EdgebllError
from edgebll.learning import BlockStep, SideStreams, Stepped
from edgebll.runfolder import RunFolder, open_run, read_config
from edgebll.training.checkpoint import (
    INITIAL,
    Checkpoint,
    Progress,
    States,
    digest,
    load_checkpoint,
    save_checkpoint,
    save_states,
)
from edgebll.training.config import KIND, RunRecord, TrainConfig, parse_run
from edgebll.training.evaluate import Evaluation, check_fits, evaluate
from edgebll.training.model import Model, build_model


class Listener:
    """Is told how a run goes; every hook does nothing unless overridden."""

    def started(self, blocks: Sequence[str], step: int, total_steps: int) -> None:
        """Training begins at `step`, which is above 0 for a resumed run."""

    def stepped(self, step: int, losses: Sequence[float], samples: int) -> None:
        """`step` steps are done; `losses` by block, of the last one, over `samples` samples."""

    def evaluated(self, epoch: int, step: int, accuracy: float, loss: float) -> None:
        """The network was evaluated after `epoch` epochs."""


def train(
    config: TrainConfig,
    out: Path | str,
    *,
    data_dir: Path | str | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> dict[str, Any]:
    """Train a network into the run folder `out`; returns what its summary.json holds.

    Args:
        data_dir: where the data set's files are. overwrite: replace a run that is already at `out`.
        listener: told how it goes.

    Raises:
        ConfigError: the config does not fit itself or the data. DataError: the data set is missing or damaged.
        StorageError: there is a run at `out`, or the disk refuses. EdgebllError: the loss is no longer a number.
    """
    config = config.completed()
    data = _load_data(config, data_dir)
    record = RunRecord(config, data[0].num_classes, data[0].input_shape)
    model = build_model(record)
    check_fits(model.steps, data[0], "choose another network or data set")
    batch_order(len(data[0]), config.batch_size, config.seed, 0)  # refuses a batch size the data cannot fill
    config = replace(config, blocks=len(model.network.blocks))
    with RunFolder.create(out, config.to_run(data[0]), overwrite=overwrite) as folder:
        states = {step.name: step.initial_state() for step in model.steps}
        save_states(folder.path / INITIAL, states)
        start = Checkpoint(states, Progress.none())
        return _Run(record, model, data, folder, listener or Listener()).go(start)


def resume(out: Path | str, *, data_dir: Path | str | None = None, listener: Listener | None = None) -> dict[str, Any]:
    """Go on with the unfinished run at `out`, from its last checkpoint; the result is that of an uninterrupted run.

    A run that is already whole is left as it is. Arguments, result and errors are those of `train`.

    Raises:
        BundleError: there is no training run at `out`, or its checkpoint is damaged.
    """
    path = Path(out)
    record = parse_run(read_config(path), path)
    with contextlib.suppress(EdgebllError):
        return open_run(path)[1]
    data = _load_data(record.config, data_dir)
    model = build_model(record)
    check_fits(model.steps, data[0])
    start = load_checkpoint(path, [step.spec for step in model.steps])
    is_new = start is None
    if start is None:
        start = Checkpoint({step.name: step.initial_state() for step in model.steps}, Progress.none())
    with RunFolder.resume(path, start.progress.metrics_bytes) as folder:
        if is_new:
            save_states(path / INITIAL, start.states)
        return _Run(record, model, data, folder, listener or Listener()).go(start)


def _load_data(config: TrainConfig, data_dir: Path | str | None) -> tuple[Dataset, Dataset]:
    train_data = load_dataset(config.data, "train", data_dir, config.limit)
    check_augmentation(config.augment, train_data)
    return train_data, load_dataset(config.data, "test", data_dir)


class _Run:
    """One run being trained: counts, clocks, metrics and checkpoints round the training steps."""

    def __init__(
        self, record: RunRecord, model: Model, data: tuple[Dataset, Dataset], folder: RunFolder, listener: Listener
    ) -> None:
        self.config = record.config
        self.model = model
        self.steps = model.steps
        self.train_data, self.test_data = data
        self.folder = folder
        self.listener = listener
        self.schedule = self.config.make_schedule()
        self.steps_per_epoch = len(self.train_data) // self.config.batch_size
        self.total_steps = self.steps_per_epoch * self.config.epochs
        self.evaluation: Evaluation | None = None
        self.train_seconds = 0.0
        self._started = time.monotonic()

    def go(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Train from `checkpoint` to the end and finish the folder."""
        states, start = checkpoint.states, checkpoint.progress
        specs = [step.spec for step in self.steps]
        self.streams = SideStreams(specs, self.model.edges, start.step, checkpoint.waiting)
        self.train_seconds = start.train_seconds
        self._started = time.monotonic() - start.seconds
        if start.accuracy is not None and start.loss is not None:
            self.evaluation = Evaluation(start.accuracy, start.loss, len(self.test_data))
        self.listener.started([step.name for step in self.steps], start.step, self.total_steps)
        with _torch_threads(self.config.threads):
            for epoch in range(start.step // self.steps_per_epoch, self.config.epochs):
                first = start.step % self.steps_per_epoch if epoch == start.step // self.steps_per_epoch else 0
                self._epoch(states, epoch, first)
        summary = self._summary(states)
        self.folder.finish(summary)
        return summary

    def _epoch(self, states: States, epoch: int, first: int) -> None:
        order = batch_order(len(self.train_data), self.config.batch_size, self.config.seed, epoch)
        for index in range(first, self.steps_per_epoch):
            done = epoch * self.steps_per_epoch + index + 1
            self._batch(states, order[index], epoch, done)
            if done % self.config.checkpoint_steps == 0 and index + 1 < self.steps_per_epoch:
                self._checkpoint(states, done)
        done = (epoch + 1) * self.steps_per_epoch
        result = self.evaluation = evaluate(self.steps, states, self.test_data, self.config.batch_size)
        self.folder.record("eval", epoch=epoch + 1, step=done, accuracy=result.accuracy, loss=result.loss)
        self.listener.evaluated(epoch + 1, done, result.accuracy, result.loss)
        self._checkpoint(states, done)

    def _batch(self, states: States, indices: Any, epoch: int, done: int) -> None:
        """One training step of every block, each on the output the one before had for the same batch."""
        started = time.monotonic()
        lr = self.schedule.rate(done - 1, self.total_steps)
        scalars = {"lr": torch.tensor(lr, dtype=torch.float32)}
        config = self.config
        x, y = map(torch.from_numpy, training_batch(self.train_data, indices, config.augment, config.seed, epoch))
        metrics = []
        for step in self.steps:
            stepped = _apply(step, states[step.name], x, y, scalars, self.streams.take(step.name))
            states[step.name], x = stepped.state, stepped.a
            self.streams.put(step.name, stepped.sent)
            metrics.append(dict(zip(step.spec.metrics, stepped.metrics.tolist(), strict=True)))
        self.train_seconds += time.monotonic() - started
        for step, named in zip(self.steps, metrics, strict=True):
            self.folder.record("train", epoch=epoch, step=done - 1, block=step.name, lr=lr, **named)
            if not math.isfinite(named["loss"]):
                raise EdgebllError(f"the loss of {step.name} is not a number any more at step {done}; try a smaller --lr")
        self.listener.stepped(done, [named["loss"] for named in metrics], len(indices))

    def _checkpoint(self, states: States, done: int) -> None:
        evaluation = self.evaluation
        progress = Progress(
            step=done,
            metrics_bytes=self.folder.sync(),
            state_sha256=digest(states),
            accuracy=evaluation.accuracy if evaluation else None,
            loss=evaluation.loss if evaluation else None,
            train_seconds=self.train_seconds,
            seconds=time.monotonic() - self._started,
        )
        save_checkpoint(self.folder.path, Checkpoint(states, progress, self.streams.waiting()))

    def _summary(self, states: States) -> dict[str, Any]:
        samples = self.total_steps * self.config.batch_size
        return {
            "kind": KIND,
            "data": self.config.data,
            "data_source": self.train_data.source,
            "accuracy": self.evaluation.accuracy if self.evaluation else None,
            "loss": self.evaluation.loss if self.evaluation else None,
            "test_samples": len(self.test_data),
            "epochs": self.config.epochs,
            "steps": self.total_steps,
            "samples": samples,
            "seconds": round(time.monotonic() - self._started, 3),
            "samples_per_second": round(samples / self.train_seconds, 1) if self.train_seconds else None,
            "threads": self.config.threads,
            "state_sha256": digest(states),
        }


def _apply(
    step: BlockStep,
    state: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
    scalars: dict[str, Tensor],
    received: dict[str, Tensor],
) -> Stepped:
    try:
        return step(state, x, y, scalars, received)
    except ValueError as error:  # batch norm refuses a batch that leaves it one value a channel
        if isinstance(error, EdgebllError):
            raise
        raise ConfigError(f"{step.name} cannot train on a batch of shape {tuple(x.shape)}: {error}") from error


@contextlib.contextmanager
def _torch_threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
