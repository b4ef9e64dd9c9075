"""The sequential schedule: the training steps of all blocks, one batch after another, with all that is kept of them."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from edgebll.data import Dataset
from edgebll.data.batches import batches_of, epoch_order
from edgebll.kernel.errors import ConfigError, EdgebllError, MissingExtraError, StorageError
from edgebll.kernel.plots.block_spikes import BLOCK_SPIKES
from edgebll.kernel.runs.divergence import diverged
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.spec.last_batch import COUNT, MASK
from edgebll.kernel.spec.side_inputs import read_by
from edgebll.kernel.spec.time_chunks import RESET, reset_at
from edgebll.learning import BlockStep, SideStreams, Stepped
from edgebll.learning.allocation import telling_of_memory
from edgebll.learning.training.checkpoint import (
    INITIAL,
    Checkpoint,
    States,
    TrainingProgress,
    digest,
    save_checkpoint,
    save_states,
)
from edgebll.learning.training.config import HOW, KIND, RunRecord
from edgebll.learning.training.device_data import DeviceData, EpochBatches
from edgebll.learning.training.evaluate import Evaluation, evaluate
from edgebll.learning.training.pending_metrics import Pending
from edgebll.learning.training.run_constants import save_constants
from edgebll.learning.training.spike_picture import draw_spikes_of_run
from edgebll.learning.training.summary_operations import operations_in_summary
from edgebll.learning.training.timed_batches import TimedBatches
from edgebll.learning.training.torch_device import TensorPlacement, torch_settings
from edgebll.learning.training.trained_model import Model


class TrainingLoop:
    """One run being trained: counts, clocks, metrics and checkpoints round the training steps."""

    def __init__(
        self, record: RunRecord, model: Model, data: tuple[Dataset, Dataset], folder: RunFolder, listener: Listener
    ) -> None:
        config = self.config = record.config
        self.model = model
        self.steps = model.steps
        self.placement = TensorPlacement.on(config.device, config.channels_last)
        dtype = self.steps[0].spec.input.dtype
        self.train_data, self.test_data = (DeviceData(split.as_dtype(dtype), self.placement) for split in data)
        self.folder = folder
        self.folder.tell = self._removed
        self.listener = listener
        self.schedule = config.make_schedule()
        self.chunks = self.steps[0].spec.chunks
        self.steps_per_epoch = batches_of(len(data[0]), config.batch_size, config.last_batch) * self.chunks
        self.total_steps = self.steps_per_epoch * config.epochs
        self.evaluation: Evaluation | None = None
        self.train_seconds = 0.0
        self._pending = Pending(self.placement.fetch_steps)
        self._calls: Sequence[Callable[..., Stepped]] = _compiled(self.steps, listener.said) if config.compile else self.steps
        self._compiling = 0.0
        self._started = self._clocked = time.monotonic()

    def go(self, checkpoint: Checkpoint) -> dict[str, Any]:
        """Train from `checkpoint` to the end and finish the folder."""
        start = checkpoint.progress
        states = {name: self.placement.put_all(state) for name, state in checkpoint.states.items()}
        self.placement.put_constants(self.steps)
        specs, waiting = [step.spec for step in self.steps], self.placement.put_waiting(checkpoint.waiting)
        self.streams = SideStreams(specs, self.model.edges, start.step, waiting, self.placement.put)
        self.train_seconds = start.train_seconds
        self._started = time.monotonic() - start.seconds
        if start.evaluated:
            self.evaluation = Evaluation(start.evaluated, len(self.test_data.dataset))
        self.listener.started([step.name for step in self.steps], start.step, self.total_steps)
        exact = self.config.precision == "float32"
        with torch_settings(self.placement.device, self.config.threads, exact=exact):
            for epoch in range(start.step // self.steps_per_epoch, self.config.epochs):
                first = start.step % self.steps_per_epoch if epoch == start.step // self.steps_per_epoch else 0
                self._epoch(states, epoch, first)
            if start.step == self.total_steps and self.evaluation:  # a checkpoint keeps nothing of the heads
                again = evaluate(self.steps, states, self.test_data, self.config.batch_size, heads=True)
                self.evaluation = replace(self.evaluation, heads=again.heads)
        summary = self._summary(states)
        self.folder.finish(summary)
        self._draw_spikes(states)
        return summary

    def _draw_spikes(self, states: States) -> None:
        if len(self.steps) > 1 and (time_steps := self.model.network.time_steps):
            try:
                draw_spikes_of_run(self.folder.path, self.steps, states, self.test_data, time_steps)
            except MissingExtraError as error:  # a run is worth as much without its pictures
                self.listener.noted(f"no {BLOCK_SPIKES}: {error}")

    def _removed(self, text: str) -> None:
        """Somebody has removed the run folder: what is not written again by itself."""
        self.listener.said(text)
        with contextlib.suppress(StorageError):
            if not (self.folder.path / INITIAL).exists():
                save_states(self.folder.path / INITIAL, {step.name: step.initial_state() for step in self.steps})
                save_constants(self.folder.path, self.steps)

    def _epoch(self, states: States, epoch: int, first: int) -> None:
        config, before = self.config, epoch * self.steps_per_epoch
        self._clocked = time.monotonic()
        how = (config.batch_size, config.seed, epoch, config.sampling, config.last_batch)
        order, counts = epoch_order(self.train_data.dataset, *how)
        batches = EpochBatches(self.train_data, order, config.augment, config.seed, epoch)
        parts = TimedBatches(batches, self.chunks, static=self.steps[0].spec.static)
        rates = [self.schedule.rate(before + index, self.total_steps) for index in range(self.steps_per_epoch)]
        told = {"lr": rates, **({COUNT: counts.repeat(self.chunks).tolist()} if config.last_batch == MASK else {})}
        told |= {RESET: [reset_at(index, self.chunks) for index in range(len(rates))]} if self.chunks > 1 else {}
        on_device = {name: torch.tensor(own, dtype=torch.float32).to(self.placement.device) for name, own in told.items()}
        is_evaluated = (epoch + 1) % config.evaluate_epochs == 0 or epoch + 1 == config.epochs
        for index in range(first, self.steps_per_epoch):
            scalars = {name: own[index].clone() for name, own in on_device.items()}
            metrics = self._batch(states, *parts.of_step(index), scalars, batches.side_inputs(index // self.chunks))
            done, is_end = before + index + 1, index + 1 == self.steps_per_epoch and is_evaluated
            is_saved = is_end or done % config.checkpoint_steps == 0
            if self._pending.add(done, epoch, rates[index], metrics) or is_saved:
                self._fetch(stopping=is_saved)
            if is_saved and not is_end:
                self._checkpoint(states, done)
        if is_evaluated:
            self._evaluate(states, epoch + 1)

    def _batch(
        self, states: States, x: Tensor, y: Tensor, scalars: dict[str, Tensor], inputs: dict[str, Tensor]
    ) -> list[Tensor]:
        """One training step of every block, each on the output the one before had for the same batch; returns the metrics."""
        metrics = []
        for step, call in zip(self.steps, self._calls, strict=True):
            received = self.streams.take(step.name) | read_by(step.spec, inputs)
            stepped = _apply(step, call, states[step.name], x, y, scalars, received)
            states[step.name], x = stepped.state, stepped.a
            self.streams.put(step.name, stepped.sent)
            metrics.append(stepped.metrics)
        return metrics

    def _fetch(self, *, stopping: bool) -> None:
        """Record the steps that have not been recorded yet; waits for the device."""
        steps = self._pending.fetch(stopping=stopping)
        compiling = sum(getattr(call, "seconds", 0.0) for call in self._calls)
        self.train_seconds += time.monotonic() - self._clocked - (compiling - self._compiling)
        self._compiling = compiling
        for told in steps:
            losses = []
            for step, values in zip(self.steps, told.metrics, strict=True):
                named = dict(zip(step.spec.metrics, values, strict=True))
                self.folder.record("train", epoch=told.epoch, step=told.step - 1, block=step.name, lr=told.lr, **named)
                losses.append(named.get("loss", math.nan))
                if not math.isfinite(named.get("loss", 0.0)):
                    raise diverged(step.name, told.step)
            self.listener.stepped(told.step, losses, self.config.batch_size)
        self._clocked = time.monotonic()

    def _evaluate(self, states: States, epoch: int) -> None:
        done = epoch * self.steps_per_epoch
        heads, size = epoch == self.config.epochs, self.config.batch_size
        result = self.evaluation = evaluate(self.steps, states, self.test_data, size, heads=heads)
        self.folder.record("eval", epoch=epoch, step=done, **result.metrics)
        self.listener.evaluated(epoch, done, result.metrics)
        self._checkpoint(states, done)

    def _checkpoint(self, states: States, done: int) -> None:
        evaluation = self.evaluation
        states = {block: {name: value.cpu() for name, value in state.items()} for block, state in states.items()}
        progress = TrainingProgress(
            step=done,
            metrics_bytes=self.folder.sync(),
            state_sha256=digest(states),
            accuracy=evaluation.accuracy if evaluation else None,
            loss=evaluation.loss if evaluation else None,
            train_seconds=self.train_seconds,
            seconds=time.monotonic() - self._started,
            metrics=evaluation.metrics if evaluation else {},
        )
        save_checkpoint(self.folder.path, Checkpoint(states, progress, self.streams.waiting()))
        self._clocked = time.monotonic()

    def _summary(self, states: States) -> dict[str, Any]:
        samples = self.total_steps // self.chunks * self.config.batch_size
        if self.config.last_batch == MASK:
            samples = self.config.epochs * len(self.train_data.dataset)
        return {
            "kind": KIND,
            "data": self.config.data,
            "data_source": self.train_data.dataset.source,
            "accuracy": self.evaluation.accuracy if self.evaluation else None,
            "loss": self.evaluation.loss if self.evaluation else None,
            "metrics": self.evaluation.metrics if self.evaluation else {},
            "heads": self.evaluation.heads if self.evaluation else {},
            "task": self.config.task,
            "test_samples": len(self.test_data.dataset),
            "epochs": self.config.epochs,
            "steps": self.total_steps,
            "samples": samples,
            "seconds": round(time.monotonic() - self._started, 3),
            "samples_per_second": round(samples / self.train_seconds, 1) if self.train_seconds else None,
            "threads": self.config.threads,
            **{name: getattr(self.config, name) for name in HOW},
            "compile": all(getattr(call, "is_compiled", False) for call in self._calls),
            "state_sha256": digest(states),
            **(self._operations() if self.evaluation else {}),
        }

    def _operations(self) -> dict[str, Any]:
        return operations_in_summary(self.folder.path, self.config, self.model, self.test_data.dataset, self.listener)


def _compiled(steps: Sequence[BlockStep], say: Callable[[str], None]) -> list[Callable[..., Stepped]]:
    """The steps, compiled."""
    from edgebll.learning.training.compiled import CompiledStep, Programs  # a second of imports

    programs: Programs = {}
    return [CompiledStep(step, programs, say) for step in steps]


def _apply(
    step: BlockStep,
    call: Callable[..., Stepped],
    state: dict[str, Tensor],
    x: Tensor,
    y: Tensor,
    scalars: dict[str, Tensor],
    received: dict[str, Tensor],
) -> Stepped:
    try:
        with telling_of_memory(f"{step.name} on batches of {len(x)}", "--batch-size, or cut the network into more blocks"):
            return call(state, x, y, scalars, received)
    except ValueError as error:  # batch norm refuses a batch that leaves it one value a channel
        if isinstance(error, EdgebllError):
            raise
        raise ConfigError(f"{step.name} cannot train on a batch of shape {tuple(x.shape)}: {error}") from error
