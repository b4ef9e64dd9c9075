"""What `edgebll simulate` and `run` have in common: a bundle's stream on some engine, into a run folder."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from edgebll.bundle import Bundle
from edgebll.cli.output import print_json, say
from edgebll.cli.progress import RunProgress
from edgebll.errors import BundleError, ConfigError
from edgebll.plain import PlainError, from_plain
from edgebll.schedule import Schedule

if TYPE_CHECKING:
    from edgebll.data import Dataset
    from edgebll.wire import Token
    from edgebll_firmware_host.engines import Engine
    from edgebll_firmware_host.recorder import Recorder


@dataclass(frozen=True)
class StreamOptions:
    """What `simulate` and `run` have in common."""

    data: str | None
    epochs: int
    lr: float | None
    schedule: str | None
    warmup_steps: int | None
    seed: int
    limit: int | None
    snapshot_every: int
    data_dir: Path | None
    overwrite: bool
    augment: str | None = None


@dataclass(frozen=True)
class Machinery:
    """What the stream runs on.

    Attributes:
        engine: makes the boards for a run at this path; None runs all blocks in this process.
        runtime, threads: of this process, then. weights: measured cost of each block, for the placement.
        facts: entries of run.json and summary.json.
    """

    engine: Callable[[Path], Engine] | None
    runtime: str
    threads: int
    weights: list[float] | None
    facts: dict[str, Any]


def execute(kind: str, bundle: Bundle, out: Path, options: StreamOptions, machinery: Machinery, *, json: bool) -> None:
    """Stream data through a bundle and print the result.

    Raises:
        ConfigError, DataError: options or data do not fit the bundle. StorageError: there is a run at `out`, or the disk
        refuses. LinkError, BoardError: a board cannot be reached, failed or vanished; the run is not whole then.
    """
    from edgebll.data import check_augmentation
    from edgebll.runfolder import RunFolder
    from edgebll.stream import StreamPlan, check_fits, stream
    from edgebll_firmware_host.recorder import Recorder

    manifest = bundle.manifest
    train, test = _load_data(bundle, options)
    check_fits(manifest, train, str(bundle.path))
    augment = _augment(bundle, options)
    check_augmentation(augment, train)
    machinery = replace(machinery, facts={**machinery.facts, "data_source": train.source, "augment": augment})
    streamed = StreamPlan(
        run=uuid.uuid4().hex,
        block=manifest.blocks[0].name,
        batch_size=manifest.batch_size,
        epochs=options.epochs,
        schedule=_schedule(bundle, options),
        seed=options.seed,
        snapshot_every=options.snapshot_every,
        augment=augment,
    )
    steps = streamed.steps_per_epoch(train)
    if options.epochs and not steps:
        raise ConfigError(f"{len(train)} training samples do not fill one batch of {manifest.batch_size}; raise --limit")
    config = {"kind": kind, "bundle": str(bundle.path), "data": train.name, **machinery.facts}
    config |= {**_plain(options), "schedule": asdict(streamed.schedule)}
    names = tuple(block.name for block in manifest.blocks)
    with (
        RunFolder.create(out, config, overwrite=options.overwrite) as folder,
        RunProgress("pipeline" if machinery.engine is not None else "sequential") as progress,
    ):
        progress.started(names, 0, options.epochs * steps)
        recorder = Recorder(folder, progress, names, manifest.batch_size, steps, len(test))
        summary, notes = _go(bundle, streamed.run, stream(streamed, train, test), machinery, recorder)
    for note in notes:
        say(f"edgebll: {note}")
    _print_result(out, summary, json=json)


def _go(
    bundle: Bundle, run_id: str, tokens: Iterator[Token], machinery: Machinery, recorder: Recorder
) -> tuple[dict[str, Any], list[str]]:
    from edgebll_firmware_host.result import finish_run

    if machinery.engine is None:
        started = time.monotonic()
        states = _in_this_process(bundle, run_id, tokens, machinery, recorder)
        return finish_run(bundle, recorder, states, time.monotonic() - started, machinery.facts)
    from edgebll_firmware_host.cluster_run import run_on_boards

    engine = machinery.engine(recorder.folder.path)
    outcome = run_on_boards(bundle, run_id, tokens, engine, recorder, weights=machinery.weights)
    facts = {
        **machinery.facts,
        "placement": {board: list(blocks) for board, blocks in outcome.placement.blocks.items()},
        "start_seconds": outcome.start_seconds,
        "bytes_streamed": outcome.bytes_streamed,
        "bytes_shipped": outcome.bytes_shipped,
    }
    return finish_run(bundle, recorder, outcome.states, outcome.stream_seconds, facts)


def _in_this_process(
    bundle: Bundle, run_id: str, tokens: Iterator[Token], machinery: Machinery, recorder: Recorder
) -> dict[str, Any]:
    from edgebll.wire import Report, State
    from edgebll_devices.sequential import run_sequential
    from edgebll_firmware_host.snapshots import SnapshotWriter

    states: dict[str, Any] = {}
    with SnapshotWriter(recorder.folder.path, recorder.blocks) as snapshots:
        for message in run_sequential(bundle, run_id, tokens, runtime=machinery.runtime, threads=machinery.threads):
            if isinstance(message, Report):
                recorder.take("host", message, 0)
            elif isinstance(message, State) and message.final:
                states[message.block] = message.tensors
            elif isinstance(message, State):
                snapshots.take(message)
    return states


def _load_data(bundle: Bundle, options: StreamOptions) -> tuple[Dataset, Dataset]:
    from edgebll.data import load_dataset

    name = options.data or bundle.manifest.recipe.get("data")
    if not isinstance(name, str):
        raise ConfigError(f"{bundle.path} does not say which data set it is for; give one with --data")
    train = load_dataset(name, "train", options.data_dir, options.limit)
    return train, load_dataset(name, "test", options.data_dir)


def _augment(bundle: Bundle, options: StreamOptions) -> str:
    """The augmentation that was given, or the one the bundle was trained with."""
    recorded = bundle.manifest.recipe.get("augment", "none")
    if not isinstance(recorded, str):
        raise BundleError(f"{bundle.path}: the recipe's augment must be a text, not {recorded!r}; export the bundle again")
    return options.augment or recorded


def _schedule(bundle: Bundle, options: StreamOptions) -> Schedule:
    """The schedule of the bundle's recipe, changed by what was given."""
    recipe = bundle.manifest.recipe
    recorded = {field.name: recipe[field.name] for field in fields(Schedule) if field.name in recipe}
    try:
        schedule = from_plain(Schedule, {"lr": 0.05, **recorded}, f"{bundle.path}: recipe")
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; export the bundle again") from error
    if options.lr is not None:
        schedule = replace(schedule, lr=options.lr)
    if options.schedule is not None:
        schedule = replace(schedule, kind=options.schedule)
    return schedule if options.warmup_steps is None else replace(schedule, warmup_steps=options.warmup_steps)


def _plain(options: StreamOptions) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("epochs", "seed", "limit", "snapshot_every")}


def _print_result(out: Path, summary: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json({"path": str(out), **summary})
        return
    accuracy = "not evaluated" if summary["accuracy"] is None else f"accuracy {100 * summary['accuracy']:.2f} %"
    typer.echo(
        f"{out}: {accuracy}, {summary['steps']} steps in {summary['seconds']:.1f} s "
        f"({summary['samples_per_second']:.0f} samples/s), state {summary['state_sha256'][:16]}"
    )
