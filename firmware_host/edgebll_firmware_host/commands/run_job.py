"""What `edgebll simulate` and `run` have in common: a bundle's stream on some engine, into a run folder."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgebll.cli.output import print_json, say
from edgebll.cli.progress import RunProgress
from edgebll.kernel.bundle import Bundle
from edgebll.kernel.errors import ConfigError
from edgebll_firmware_host.commands.run_upkeep import hint_on_interrupt, kept_for
from edgebll_firmware_host.commands.stream_options import DataSource, StreamOptions, augmentation, data_source, schedule_of
from edgebll_firmware_host.engines.engine_choice import Machinery

if TYPE_CHECKING:
    from edgebll.data import Dataset
    from edgebll.data.token_stream import StreamPlan
    from edgebll.kernel.runs.run_folder import RunFolder
    from edgebll.kernel.wire import Token
    from edgebll_firmware_host.run.metrics_recorder import Recorder
    from edgebll_firmware_host.run_files.snapshot_store import Snapshot


@dataclass(frozen=True)
class Job:
    """A run that is ready to begin or to go on.

    Attributes:
        bundle: what, and on what.
        plan: what, and on what.
        train: what, and on what.
        test: what, and on what.
        machinery: what, and on what.
        snapshot_s: seconds between snapshots, 0 for none.
        keep_snapshots: how many of them stay.
    """

    bundle: Bundle
    plan: StreamPlan
    train: Dataset
    test: Dataset
    machinery: Machinery
    snapshot_s: float
    keep_snapshots: int

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of one epoch."""
        return self.plan.steps_per_epoch(self.train)

    def rate(self, step: int) -> float:
        """The learning rate of a training step."""
        return self.plan.schedule.rate(step, self.plan.epochs * self.steps_per_epoch)

    def stream(self, start: int) -> Iterator[Token]:
        """The tokens from a training step on."""
        from edgebll.data.token_stream import stream

        return stream(self.plan, self.train, self.test, start)


def execute(kind: str, bundle: Bundle, out: Path, options: StreamOptions, machinery: Machinery, *, json: bool) -> None:
    """Stream data through a bundle and print the result.

    Raises:
        ConfigError, DataError: options or data do not fit the bundle. StorageError: there is a run at `out`, or the disk
            refuses. LinkError, BoardError: boards cannot be reached, failed or vanished for good; the run is not whole then.
    """
    from edgebll.data.token_stream import StreamPlan
    from edgebll.kernel.runs.run_folder import RunFolder

    if not 0 <= options.snapshot_seconds < 1e9:
        raise ConfigError(f"--snapshot-seconds must be a number of seconds, 0 for none, not {options.snapshot_seconds:g}")
    if options.keep_snapshots < 1:
        raise ConfigError(f"--keep-snapshots must be at least 1, not {options.keep_snapshots}; --snapshot-seconds 0 takes none")
    plan = StreamPlan(
        run=uuid.uuid4().hex,
        block=bundle.manifest.blocks[0].name,
        batch_size=bundle.manifest.batch_size,
        epochs=options.epochs,
        schedule=schedule_of(bundle, options),
        seed=options.seed,
        snapshot_every=options.snapshot_every,
        augment=augmentation(bundle, options),
    )
    kept = (options.snapshot_seconds, options.keep_snapshots)
    job = prepare(bundle, plan, data_source(bundle, options), machinery, *kept)
    with RunFolder.create(out, _config(kind, job, options), overwrite=options.overwrite) as folder:
        perform(job, folder, None, json=json)


def prepare(
    bundle: Bundle, plan: StreamPlan, source: DataSource, machinery: Machinery, snapshot_s: float, keep_snapshots: int
) -> Job:
    """Load the data of a run and check that all fits.

    Raises:
        ConfigError, DataError: it does not.
    """
    from edgebll.data import check_augmentation
    from edgebll.data.token_stream import fitted

    train, test = (fitted(bundle.manifest, split, str(bundle.path)) for split in source.load())
    check_augmentation(plan.augment, train)
    if plan.epochs and not plan.steps_per_epoch(train):
        raise ConfigError(f"{len(train)} training samples do not fill one batch of {plan.batch_size}; raise --limit")
    machinery = replace(machinery, facts={**machinery.facts, "data_source": train.source, "augment": plan.augment})
    return Job(bundle, plan, train, test, machinery, snapshot_s, keep_snapshots)


#: Options that a run goes on with.
_RECORDED = ("epochs", "seed", "limit", "snapshot_every", "snapshot_seconds", "keep_snapshots")


def _config(kind: str, job: Job, options: StreamOptions) -> dict[str, Any]:
    """What run.json says: all it takes to go on with the run."""
    config = {"kind": kind, "run": job.plan.run, "bundle": str(job.bundle.path.absolute()), "data": job.train.name}
    return {
        **config,
        **job.machinery.facts,
        **{name: getattr(options, name) for name in _RECORDED},
        "manifest_sha256": job.bundle.manifest_sha256,
        "data_dir": str(options.data_dir) if options.data_dir is not None else None,
        "schedule": asdict(job.plan.schedule),
        "weights": job.machinery.weights,
    }


def perform(job: Job, folder: RunFolder, snapshot: Snapshot | None, *, json: bool, resumed: bool = False) -> None:
    """Begin a run, or go on with one from a snapshot, in this folder, and print the result.

    Raises:
        StorageError: the disk refuses. LinkError, BoardError: boards cannot be reached, failed or vanished for good.
    """
    from edgebll_firmware_host.run.metrics_recorder import Recorder

    names = tuple(block.name for block in job.bundle.manifest.blocks)
    step = snapshot.step if snapshot is not None else 0
    title = "pipeline" if job.machinery.engine is not None else "sequential"
    with hint_on_interrupt(folder), RunProgress(title) as progress:
        origin, job = job.bundle, replace(job, bundle=kept_for(job.bundle, folder, progress.said))
        progress.started(names, step, job.plan.epochs * job.steps_per_epoch)
        recorder = Recorder(folder, progress, names, job.plan.batch_size, job.steps_per_epoch, len(job.test), rate=job.rate)
        if snapshot is not None:
            recorder.go_on(snapshot.contents.progress)
        summary, notes = _go(job, origin, recorder, snapshot, resumed=resumed)
    for note in notes:
        say(f"edgebll: {note}")
    _print_result(folder.path, summary, json=json)


def _go(
    job: Job, origin: Bundle, recorder: Recorder, snapshot: Snapshot | None, *, resumed: bool
) -> tuple[dict[str, Any], list[str]]:
    from edgebll_firmware_host.run.run_result import finish_run

    bundle, machinery = job.bundle, job.machinery
    bundles = (bundle, origin)
    if machinery.engine is None:
        started = time.monotonic()
        states = _in_this_process(job, recorder, snapshot)
        return finish_run(bundles, recorder, states, time.monotonic() - started, machinery.facts)
    from edgebll_firmware_host.run.cluster_run import run_on_boards
    from edgebll_firmware_host.run.run_plan import RunPlan

    plan = RunPlan(
        bundle,
        job.plan.run,
        job.stream,
        machinery.weights,
        snapshot_s=job.snapshot_s,
        keep_snapshots=job.keep_snapshots,
        resumed=resumed,
        preflight=machinery.preflight,
    )
    outcome = run_on_boards(plan, machinery.engine(recorder.folder.path), recorder)
    facts = {
        **machinery.facts,
        "placement": {board: list(blocks) for board, blocks in outcome.placement.blocks.items()},
        "computed_otherwise": outcome.unlike,
        "versions": outcome.versions,
    }
    return finish_run(bundles, recorder, outcome.states, outcome.stream_seconds, facts)


def _in_this_process(job: Job, recorder: Recorder, snapshot: Snapshot | None) -> dict[str, Any]:
    from edgebll.kernel.execution.sequential import run_sequential
    from edgebll.kernel.execution.stage import Start
    from edgebll.kernel.wire import Report, State
    from edgebll_firmware_host.run.snapshot_writer import SnapshotWriter
    from edgebll_firmware_host.run.token_feeder import TokenFeeder

    where: dict[str, Any] = {"runtime": job.machinery.runtime, "threads": job.machinery.threads}
    if snapshot is not None:
        where["start"] = Start(step=snapshot.step, waiting=snapshot.waiting())
        where["states"] = {block.name: snapshot.state(block.name) for block in job.bundle.manifest.blocks}
    feeder = TokenFeeder(job.stream(snapshot.step if snapshot is not None else 0), 0, job.snapshot_s, time.monotonic())
    tokens = iter(lambda: feeder.next(time.monotonic()), None)
    states: dict[str, Any] = {}
    recorder.begin_incarnation()
    with SnapshotWriter(job.bundle, recorder, job.keep_snapshots) as snapshots:
        for message in run_sequential(job.bundle, job.plan.run, tokens, **where):
            if isinstance(message, Report):
                recorder.take("host", message, 0)
            elif isinstance(message, State) and message.final:
                states[message.block] = message.tensors
            elif isinstance(message, State):
                snapshots.take(message)
    return states


def _print_result(out: Path, summary: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json({"path": str(out), **summary})
        return
    accuracy = "not evaluated" if summary["accuracy"] is None else f"accuracy {100 * summary['accuracy']:.2f} %"
    typer.echo(
        f"{out}: {accuracy}, {summary['steps']} steps in {summary['seconds']:.1f} s "
        f"({summary['samples_per_second']:.0f} samples/s), state {summary['state_sha256'][:16]}"
    )
