"""A run that is ready to begin or to go on: what is streamed, and what on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgebll.data import Dataset, LoadedData, check_augmentation, load_data
from edgebll.data.sampling import UNIFORM, check_sampling
from edgebll.data.token_stream import StreamSpec, fitted, stream
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.last_batch import last_batch_of
from edgebll.kernel.wire import Token
from edgebll_firmware_host.engines.engine_choice import Where
from edgebll_firmware_host.run.recorded_run import RecordedRun
from edgebll_firmware_host.run.run_spec import schedule_of


@dataclass(frozen=True)
class Job:
    """A run that is ready to begin or to go on.

    Attributes:
        bundle: the blocks.
        recorded: its spec, settled, and what was found out when it began.
        stream_spec: what is streamed.
        train: the training data.
        test: the test data.
        where: what the stream runs on.
        shown: entries of run.json and summary.json for people.
    """

    bundle: Bundle
    recorded: RecordedRun
    stream_spec: StreamSpec
    train: Dataset
    test: Dataset
    where: Where
    shown: dict[str, Any]

    @property
    def blocks(self) -> tuple[str, ...]:
        """Names of the blocks, in order."""
        return tuple(block.name for block in self.bundle.manifest.blocks)

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of one epoch."""
        return self.stream_spec.steps_per_epoch(self.train)

    @property
    def total_steps(self) -> int:
        """Training steps of the whole run."""
        return self.stream_spec.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """The learning rate of a training step."""
        return self.stream_spec.schedule.rate(step, self.total_steps)

    def stream(self, start: int, *, wait: bool = True) -> Iterator[Token]:
        """The tokens from a training step on; without waiting for samples that are still to come, NOT_YET stands for them."""
        return stream(self.stream_spec, self.train, self.test, start, wait=wait)


def make_job(
    bundle: Bundle, recorded: RecordedRun, where: Where, shown: dict[str, Any], tell: Callable[[str], None] | None = None
) -> Job:
    """Load the data of a run and check that all fits; the other arguments are those of `Job`.

    Args:
        bundle: the blocks.
        recorded: its spec; how own data are prepared is written down in the job's.
        where: what the stream runs on.
        shown: entries of run.json and summary.json for people.
        tell: takes a sentence before what takes long.

    Raises:
        ConfigError: there is no such data set, or it does not fill one batch. DataError: it is not here, damaged or of other
            shapes than the bundle takes.
    """
    spec = recorded.spec
    stream_spec = StreamSpec(
        run=recorded.facts.run,
        block=bundle.manifest.blocks[0].name,
        batch_size=bundle.manifest.batch_size,
        epochs=spec.epochs,
        schedule=schedule_of(spec, bundle),
        seed=spec.seed,
        snapshot_every=spec.snapshot_every,
        augment=spec.augment or "none",
        sampling=spec.sampling or UNIFORM,
        last_batch=last_batch_of(block.scalars for block in bundle.manifest.blocks),
        chunks=bundle.manifest.blocks[0].chunks,
        static=bundle.manifest.blocks[0].static,
    )
    loaded = _data(recorded, tell)
    recorded = replace(recorded, spec=replace(spec, data=loaded.name, data_options=loaded.options or None))
    train, test = (fitted(bundle.manifest, split, str(bundle.path)) for split in loaded.splits)
    check_sampling(spec.sampling or UNIFORM, train)
    check_augmentation(stream_spec.augment, train)
    if stream_spec.epochs and not stream_spec.steps_per_epoch(train):
        raise ConfigError(f"{len(train)} training samples do not fill one batch of {stream_spec.batch_size}; raise --limit")
    return Job(
        bundle,
        recorded,
        stream_spec,
        train,
        test,
        where,
        {**shown, "data_source": train.source, "augment": stream_spec.augment},
    )


def _data(recorded: RecordedRun, tell: Callable[[str], None] | None) -> LoadedData:
    spec = recorded.spec
    folder = Path(spec.data_dir) if spec.data_dir is not None else None
    return load_data(spec.data or "", folder, spec.limit, spec.data_options, tell, spec.sampling or UNIFORM)
