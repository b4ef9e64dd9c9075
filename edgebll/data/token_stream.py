"""The stream of a whole run: every token the first block receives, in order. A pure function of the spec and the data.

The sequential run, the cluster and anything else that schedules the blocks consume this one stream, so all of them do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgebll.data import Dataset, eval_batches, training_batch
from edgebll.data.batches import batches_of, epoch_order
from edgebll.data.dataset import FLOAT32, Ints
from edgebll.data.sampling import UNIFORM
from edgebll.kernel.errors import BundleError, ConfigError, DataError
from edgebll.kernel.spec.last_batch import COUNT, DROP, MASK
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.spec.manifest import BlockSpec, Manifest, TensorSpec
from edgebll.kernel.spec.side_inputs import of_a_sample
from edgebll.kernel.spec.time_chunks import RESET, chunk_of, reset_at
from edgebll.kernel.tasks import task_of_record
from edgebll.kernel.wire import END, EVAL, SNAPSHOT, TRAIN, Token

#: Stands for a token whose samples have not come yet; never sent.
NOT_YET = Token("", "", END, -1, -1)
#: Entry of a manifest's recipe: smallest and largest input value, where the network declares them.
INPUT_RANGE = "input_range"


@dataclass(frozen=True)
class StreamSpec:
    """What a run streams.

    Attributes:
        run: identifier of the run.
        block: the first block.
        batch_size: samples of every batch.
        epochs: passes over the training data, >= 0.
        schedule: learning rate by step.
        seed: order of the samples and what happens to each image.
        evaluate: stream the test data after every epoch.
        snapshot_every: training steps between snapshots; 0 for none.
        augment: one of `edgebll.data.AUGMENTATIONS`, for the training data.
        sampling: "uniform", "balanced" or own weights, see `edgebll.data.batches.epoch_order`.
        last_batch: "drop" or "mask", which the bundle's steps must be made for.
        chunks: training steps that a sample takes, see `edgebll.kernel.spec.time_chunks`.
        static: whether samples have no axis of time.
    """

    run: str
    block: str
    batch_size: int
    epochs: int
    schedule: Schedule
    seed: int = 0
    evaluate: bool = True
    snapshot_every: int = 0
    augment: str = "none"
    sampling: str = UNIFORM
    last_batch: str = DROP
    chunks: int = 1
    static: bool = False

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.snapshot_every < 0:
            raise ConfigError("the numbers of epochs and of steps between snapshots must not be negative")

    def steps_per_epoch(self, train: Dataset) -> int:
        """Training steps of one epoch."""
        return batches_of(len(train), self.batch_size, self.last_batch) * self.chunks

    def total_tokens(self, train: Dataset, test: Dataset) -> int:
        """Number of tokens of the whole stream, END included."""
        steps = self.epochs * self.steps_per_epoch(train)
        evaluations = -(-len(test) // self.batch_size) * max(1, self.epochs) if self.evaluate else 0
        return steps + evaluations + (steps // self.snapshot_every if self.snapshot_every else 0) + 1


def stream(spec: StreamSpec, train: Dataset, test: Dataset, start: int = 0, *, wait: bool = True) -> Iterator[Token]:
    """All tokens of a run: epochs of TRAIN, each followed by EVAL of the test data, SNAPSHOTs between them, END.

    A run of no epochs evaluates once.

    Args:
        spec: what is streamed.
        train: training data.
        test: data of the evaluations.
        start: leave out what comes before so many training steps, and the SNAPSHOT right after them; `sequence` begins at 0 all
            the same. What follows a number of steps is a function of the spec, the data and that number alone.
        wait: for samples that are still to come; else NOT_YET stands for what cannot be made yet.

    Raises:
        ConfigError: the training data do not fill one batch.
    """
    sequence, step = 0, start
    per_epoch = spec.steps_per_epoch(train)
    total_steps = spec.epochs * per_epoch
    if not 0 <= start <= total_steps:
        raise ConfigError(f"the run has {total_steps} steps, so it cannot go on from step {start}")
    first = max(0, start - 1) // per_epoch if per_epoch else 0  # the evaluation after an epoch's last step comes after it
    for epoch in range(first, max(1, spec.epochs)):
        for indices, count in _batches(spec, train, epoch, max(0, start - epoch * per_epoch)) if spec.epochs else ():
            yield from _awaited(train, indices, wait)
            x, y = training_batch(train, indices, spec.augment, spec.seed, epoch)
            for _ in range(step % spec.chunks, spec.chunks):
                part = np.ascontiguousarray(chunk_of(x, step, spec.chunks, static=spec.static))
                tensors = {"x": part, "y": y, **train.side_inputs(indices)}
                scalars = {"lr": spec.schedule.rate(step, total_steps), **_beside(spec, step, count)}
                yield Token(spec.run, spec.block, TRAIN, sequence, step, scalars=scalars, tensors=tensors)
                sequence, step = sequence + 1, step + 1
                if spec.snapshot_every and step % spec.snapshot_every == 0:
                    yield Token(spec.run, spec.block, SNAPSHOT, sequence, step)
                    sequence += 1
        for indices, count in eval_batches(len(test), spec.batch_size) if spec.evaluate else ():
            yield from _awaited(test, indices, wait)
            x = test.inputs(indices)
            tensors = {"x": x, "y": test.targets(indices, x), **test.side_inputs(indices)}
            yield Token(spec.run, spec.block, EVAL, sequence, step, count, tensors=tensors)
            sequence += 1
    yield Token(spec.run, spec.block, END, sequence, step)


def _beside(spec: StreamSpec, step: int, count: int) -> dict[str, float]:
    """The scalars of a training step besides its learning rate."""
    counted = {COUNT: float(count)} if spec.last_batch == MASK else {}
    return counted | ({RESET: reset_at(step, spec.chunks)} if spec.chunks > 1 else {})


def _awaited(dataset: Dataset, indices: Ints, wait: bool) -> Iterator[Token]:
    while not wait and not dataset.ready(indices):
        yield NOT_YET


def _batches(spec: StreamSpec, train: Dataset, epoch: int, first: int) -> Iterable[tuple[Ints, int]]:
    """Batches of an epoch from that of its step `first` on: indices (B,), and how many count."""
    first //= spec.chunks
    order, counts = epoch_order(train, spec.batch_size, spec.seed, epoch, spec.sampling, spec.last_batch)
    return zip(order[first:], counts[first:].tolist(), strict=True)


def fitted(manifest: Manifest, dataset: Dataset, where: str) -> Dataset:
    """The data set as the bundle at `where` takes it: with samples of its dtype and targets of its task.

    Raises:
        DataError: samples or labels are not those the bundle was exported for, or whole numbers are beyond its range.
        BundleError: the bundle's task is not known.
    """
    labels = manifest.blocks[-1].labels.shape[1:]
    dataset = dataset.for_task(task_of_record(manifest.task, where)).as_dtype(manifest.blocks[0].input.dtype)
    if dataset.input_shape != manifest.input_shape or dataset.target_shape != labels:
        raise DataError(
            f"{where} was exported for samples of shape {manifest.input_shape} with labels {labels}, but "
            f"{dataset.name} has {dataset.input_shape} with {dataset.target_shape}; use the data set it was made for"
        )
    check_side_inputs(where, manifest.blocks, dataset, "use the data set it was made for")
    _check_range(manifest, dataset, where)
    return dataset


def check_side_inputs(what: str, blocks: Sequence[BlockSpec], dataset: Dataset, advice: str) -> None:
    """Refuse a data set whose samples have not besides x what a network reads.

    Args:
        what: the network, for messages.
        blocks: of it, in order.
        dataset: the samples.
        advice: the end of the sentence.

    Raises:
        DataError: an input is missing, too many, or of another dtype or shape.
    """
    wanted, given = of_a_sample(blocks), dataset.side_specs
    if set(wanted) != set(given):
        raise DataError(f"{what} takes {_told(wanted)} besides x, but {dataset.name} has {_told(given)}; {advice}")


def _told(inputs: Sequence[TensorSpec]) -> str:
    return ", ".join(f"{spec.name} {spec.dtype}{list(spec.shape)}" for spec in inputs) or "nothing"


def _check_range(manifest: Manifest, dataset: Dataset, where: str) -> None:
    """Tokens beyond the range would be looked up in a table that has no row for them, or another one counted from its end."""
    declared = manifest.recipe.get(INPUT_RANGE)
    if declared is None or dataset.dtype == FLOAT32:
        return
    if not isinstance(declared, list) or len(declared) != 2 or any(type(end) not in (int, float) for end in declared):
        raise BundleError(f"{where}: the recipe's {INPUT_RANGE} must be two numbers; export the bundle again")
    low, high = int(dataset.samples.min()), int(dataset.samples.max())
    if low < declared[0] or high > declared[1]:
        raise DataError(
            f"{where} takes whole numbers from {declared[0]:g} to {declared[1]:g}, but those of {dataset.name} reach from "
            f"{low} to {high}; use the data set it was made for"
        )
