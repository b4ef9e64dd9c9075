"""Going on with a run whose host ended before it was whole: `--resume` of `edgebll simulate` and `run`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from edgebll.cli.output import say
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.spec.lr_schedule import Schedule
from edgebll.kernel.support.plain_dataclasses import PlainError, from_plain
from edgebll_firmware_host.commands.run_job import Job, perform, prepare
from edgebll_firmware_host.commands.stream_options import DataSource
from edgebll_firmware_host.engines.engine_choice import LocalAgents, Machinery, on_cluster

_WITH_RESUME = ("resume", "json")


@dataclass(frozen=True)
class Recorded:
    """What run.json says of a run's stream."""

    kind: str
    run: str
    bundle: str
    manifest_sha256: str
    data: str
    data_dir: str | None
    epochs: int
    seed: int
    limit: int | None
    snapshot_every: int
    snapshot_seconds: float
    augment: str
    schedule: Schedule
    weights: tuple[float, ...] | None
    keep_snapshots: int = KEPT_SNAPSHOTS


def check_only_resume(context: typer.Context, *others: str) -> None:
    """Raise ConfigError if a run that is resumed is given options of its own: it goes on as it began."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE" and name not in (*_WITH_RESUME, *others):
            raise ConfigError(f"--resume goes on with the run as it began; leave out {_as_typed(context, name)}")


def _as_typed(context: typer.Context, name: str) -> str:
    parameter = next(one for one in context.command.params if one.name == name)
    return parameter.opts[0] if parameter.param_type_name == "option" else name.upper()


def go_on(kind: str, run: Path, cluster: Path | None, *, json: bool, preflight: bool = True) -> None:
    """Go on with the run at `run` from its newest whole snapshot, or from its start.

    Args:
        kind: the command that began it.
        run: the run folder.
        cluster: the inventory to use instead of the one it began with.
        json: whether the result is printed as JSON.
        preflight: whether boards of an inventory try their links first.

    Raises:
        BundleError: there is no unfinished run of this kind, or its bundle is another one by now. And what `perform` raises.
    """
    from edgebll.kernel.runs.run_folder import RunFolder, read_config
    from edgebll_firmware_host.run_files.snapshot_store import newest_snapshot

    config = read_config(run)
    recorded = _recorded(run, config)
    if recorded.kind != kind:
        raise BundleError(f"{run} was begun by `edgebll {recorded.kind}`; resume it with that")
    bundle = _bundle_of(run, recorded)
    job = _job(recorded, bundle, _machinery(config, recorded, cluster, preflight))
    with RunFolder.resume(run) as folder:
        snapshot = newest_snapshot(run, bundle, lambda text: say(f"edgebll: {text}"))
        folder.rewind(snapshot.contents.progress.metrics_bytes if snapshot is not None else 0)
        if folder.damage:
            say(f"edgebll: {folder.damage}")
        perform(job, folder, snapshot, json=json, resumed=True)


def _bundle_of(run: Path, recorded: Recorded) -> Bundle:
    """The bundle a run began with: as it kept it, else from where it came."""
    from edgebll_firmware_host.run_files.kept_bundle import kept_bundle

    kept = kept_bundle(run, recorded.manifest_sha256)
    if kept is not None:
        return replace(kept, path=Path(recorded.bundle))
    bundle = open_bundle(recorded.bundle)
    if bundle.manifest_sha256 != recorded.manifest_sha256:
        raise BundleError(f"{bundle.path} is not the bundle that {run} began with; put that one back or run again")
    return bundle


def _recorded(run: Path, config: Mapping[str, Any]) -> Recorded:
    known = {name: config[name] for name in Recorded.__dataclass_fields__ if name in config}
    try:
        return from_plain(Recorded, known, f"{run}/run.json")
    except (PlainError, ConfigError) as error:
        raise BundleError(f"{error}; only runs of `edgebll simulate` and `run` can be resumed so") from error


def _job(recorded: Recorded, bundle: Bundle, machinery: Machinery) -> Job:
    from edgebll.data.token_stream import StreamPlan

    plan = StreamPlan(
        run=recorded.run,
        block=bundle.manifest.blocks[0].name,
        batch_size=bundle.manifest.batch_size,
        epochs=recorded.epochs,
        schedule=recorded.schedule,
        seed=recorded.seed,
        snapshot_every=recorded.snapshot_every,
        augment=recorded.augment,
    )
    folder = Path(recorded.data_dir) if recorded.data_dir is not None else None
    source = DataSource(recorded.data, folder, recorded.limit)
    return prepare(bundle, plan, source, machinery, recorded.snapshot_seconds, recorded.keep_snapshots)


def _machinery(config: Mapping[str, Any], recorded: Recorded, cluster: Path | None, preflight: bool) -> Machinery:
    from edgebll_firmware_host.inventory import load_cluster

    weights = list(recorded.weights) if recorded.weights is not None else None
    try:
        if recorded.kind == "simulate":
            return LocalAgents.of(config).machinery(weights)
        path, window = cluster or Path(str(config["cluster"])), config["window"]
    except (PlainError, KeyError) as error:
        raise BundleError(f"run.json does not say what the run runs on ({error}); run it again") from error
    return on_cluster(load_cluster(path).with_window(window), path, weights, preflight=preflight)
