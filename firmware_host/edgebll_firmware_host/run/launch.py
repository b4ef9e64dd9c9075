"""Beginning a run over a bundle by its spec, or going on with one by its folder."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from edgebll.data.own.given_samples import keep_samples
from edgebll.data.own.live_reading import reading_sources
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import BundleError, ConfigError
from edgebll.kernel.execution.step_timing import step_seconds
from edgebll.kernel.runs.kept_data import check_outside, kept_name
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.runs.run_folder import RunFolder
from edgebll.kernel.runs.run_result import RunResult
from edgebll_firmware_host.engines.engine_choice import InProcess, Where, on_inventory, on_this_machine
from edgebll_firmware_host.inventory import Cluster, load_cluster
from edgebll_firmware_host.run.cluster_run import run_on_boards
from edgebll_firmware_host.run.in_process_run import run_in_process
from edgebll_firmware_host.run.job import Job, make_job
from edgebll_firmware_host.run.metrics_recorder import Recorder
from edgebll_firmware_host.run.recorded_run import RecordedRun, RunFacts, read_recorded
from edgebll_firmware_host.run.run_request import RunRequest
from edgebll_firmware_host.run.run_result import finish_run
from edgebll_firmware_host.run.run_spec import DEFAULT_WINDOW, ClusterSpec, SimulateSpec, settled
from edgebll_firmware_host.run_files.kept_bundle import kept_bundle, kept_for
from edgebll_firmware_host.run_files.snapshot_store import Snapshot, newest_snapshot

#: What summary.json says of a simulated run's machine.
_SHOWN = (
    "boards",
    "microcontrollers",
    "emulate",
    "window",
    "threads",
    "runtime",
    "deadline",
    "patience",
    "cap_threads",
    "memory_check",
)


@reading_sources()
def begin_simulated(
    spec: SimulateSpec, out: Path, listener: Listener, *, overwrite: bool, samples: Path | None = None
) -> RunResult:
    """Train over agents of this machine, into a new run folder.

    Args:
        spec: what.
        out: the run folder.
        listener: is told how it goes.
        overwrite: replace a run that is already there.
        samples: the folder of the data, which goes into the run folder; None where they stay where they are.

    Raises:
        ConfigError, DataError: options or data do not fit the bundle. StorageError: there is a run at `out`, or the disk
            refuses. LinkError, BoardError: boards cannot be reached, failed or vanished for good; the run is not whole then.
    """
    bundle = open_bundle(spec.bundle)
    boards = _useful(spec.boards, bundle, listener)
    spec = replace(spec, microcontrollers=min(boards, spec.microcontrollers))
    spec = settled(replace(spec, boards=boards, window=spec.window or DEFAULT_WINDOW), bundle)
    weights = _measured(bundle, spec.runtime, spec.threads) if spec.measure and boards else None
    where = on_this_machine(spec, 0, listener.noted)
    used = where.threads if isinstance(where, InProcess) else 0
    recorded = RecordedRun(spec, _facts(bundle, weights, used))
    job = make_job(bundle, recorded, where, _shown(recorded), listener.said)
    return _begin(job, out, listener, overwrite=overwrite, samples=samples)


@reading_sources()
def begin_on_cluster(
    spec: ClusterSpec, out: Path, listener: Listener, *, overwrite: bool, preflight: bool, samples: Path | None = None
) -> RunResult:
    """Train over the boards of an inventory, into a new run folder; other arguments and errors are those of `begin_simulated`.

    Args:
        spec: what.
        out: the run folder.
        listener: is told how it goes.
        overwrite: replace a run that is already there.
        preflight: whether boards try their links before anything is loaded.
        samples: the folder of the data, which goes into the run folder; None where they stay where they are.
    """
    inventory = load_cluster(spec.cluster).with_window(spec.window)
    bundle = open_bundle(spec.bundle)
    path = str(Path(spec.cluster).absolute())
    spec = settled(replace(spec, cluster=path, window=inventory.host.window), bundle)
    first = inventory.boards[0]
    weights = _measured(bundle, first.runtime, first.threads) if spec.measure else None
    recorded = RecordedRun(spec, _facts(bundle, weights, 0))
    where = on_inventory(inventory, preflight=preflight)
    job = make_job(bundle, recorded, where, _shown_cluster(inventory, path), listener.said)
    return _begin(job, out, listener, overwrite=overwrite, samples=samples)


@reading_sources()
def go_on(kind: str, run: Path, listener: Listener, *, cluster: Path | None = None, preflight: bool = True) -> RunResult:
    """Go on with the run at `run` from its newest whole snapshot, or from its start.

    Args:
        kind: the command that began it, "simulate" or "run".
        run: its folder.
        listener: is told how it goes.
        cluster: the inventory to use instead of the one it began with.
        preflight: whether boards of an inventory try their links before anything is loaded.

    Raises:
        BundleError: there is no unfinished run of this kind, or its bundle is another one by now. And what `begin_simulated`
            raises.
    """
    recorded = read_recorded(run)
    if recorded.spec.kind != kind:
        raise BundleError(f"{run} was begun by `edgebll {recorded.spec.kind}`; resume it with that")
    bundle = _bundle_of(run, recorded)
    where, shown = _where(recorded, cluster, listener, preflight=preflight)
    job = make_job(bundle, recorded, where, shown, listener.said)
    with RunFolder.resume(run) as folder:
        snapshot = newest_snapshot(run, bundle, listener.noted)
        folder.rewind(snapshot.contents.progress.metrics_bytes if snapshot is not None else 0)
        if folder.damage:
            listener.noted(folder.damage)
        return _perform(job, folder, listener, snapshot, resumed=True)


def _bundle_of(run: Path, recorded: RecordedRun) -> Bundle:
    """The bundle a run began with: as it kept it, else from where it came."""
    kept = kept_bundle(run, recorded.facts.manifest_sha256)
    if kept is not None:
        return replace(kept, path=Path(recorded.spec.bundle))
    bundle = open_bundle(recorded.spec.bundle)
    if bundle.manifest_sha256 != recorded.facts.manifest_sha256:
        raise BundleError(f"{bundle.path} is not the bundle that {run} began with; put that one back or run again")
    return bundle


def _where(recorded: RecordedRun, cluster: Path | None, listener: Listener, *, preflight: bool) -> tuple[Where, dict[str, Any]]:
    spec = recorded.spec
    if isinstance(spec, SimulateSpec):
        return on_this_machine(spec, recorded.facts.threads_used, listener.noted), _shown(recorded)
    if not isinstance(spec, ClusterSpec):
        raise ConfigError(f"a run must be one of `edgebll simulate` or `run`, not of {spec.kind!r}")
    path = str(Path(cluster or spec.cluster).absolute())
    inventory = load_cluster(path).with_window(spec.window)
    return on_inventory(inventory, preflight=preflight), _shown_cluster(inventory, path)


def _begin(job: Job, out: Path, listener: Listener, *, overwrite: bool, samples: Path | None) -> RunResult:
    if samples is None:
        check_outside(job.recorded.spec.data or "", out)
    else:
        job = replace(job, recorded=replace(job.recorded, spec=replace(job.recorded.spec, data=kept_name(out))))
    with RunFolder.create(out, job.recorded.document(job.shown), overwrite=overwrite) as folder:
        if samples is not None:
            keep_samples(samples, folder.path)
        return _perform(job, folder, listener, None, resumed=False)


def _perform(job: Job, folder: RunFolder, listener: Listener, snapshot: Snapshot | None, *, resumed: bool) -> RunResult:
    """Stream all that is left, and finish the folder."""
    origin, job = job.bundle, replace(job, bundle=kept_for(job.bundle, folder, listener.said))
    listener.started(job.blocks, snapshot.step if snapshot is not None else 0, job.total_steps)
    counts = (job.stream_spec.batch_size, job.steps_per_epoch, len(job.test))
    recorder = Recorder(folder, listener, job.blocks, *counts, task=job.test.task, rate=job.rate)
    if snapshot is not None:
        recorder.go_on(snapshot.contents.progress)
    summary, notes = _stream(job, origin, recorder, snapshot, resumed=resumed)
    for note in notes:
        listener.noted(note)
    result = RunResult.of(folder.path, summary)
    listener.finished(result)
    return result


def _stream(
    job: Job, origin: Bundle, recorder: Recorder, snapshot: Snapshot | None, *, resumed: bool
) -> tuple[dict[str, Any], list[str]]:
    spec, facts, bundles = job.recorded.spec, job.recorded.facts, (job.bundle, origin)
    if isinstance(job.where, InProcess):
        started = time.monotonic()
        states = run_in_process(job, job.where, recorder, snapshot)
        return finish_run(bundles, recorder, states, time.monotonic() - started, job.shown, job.test)
    request = RunRequest(
        job.bundle,
        job.stream_spec.run,
        partial(job.stream, wait=False),
        list(facts.weights) if facts.weights is not None else None,
        snapshot_seconds=spec.snapshot_seconds,
        keep_snapshots=spec.keep_snapshots,
        resumed=resumed,
        preflight=job.where.preflight,
    )
    outcome = run_on_boards(request, job.where.engine(recorder.folder.path), recorder)
    placement = {board: list(blocks) for board, blocks in outcome.placement.blocks.items()}
    found = {"placement": placement, "computed_otherwise": outcome.unlike, "versions": outcome.versions}
    shown = {**job.shown, **found}
    return finish_run(bundles, recorder, outcome.states, outcome.stream_seconds, shown, job.test)


def _useful(boards: int, bundle: Bundle, listener: Listener) -> int:
    """How many agents to start: those beyond the number of blocks would have nothing to do."""
    blocks = len(bundle.manifest.blocks)
    if boards > blocks:
        listener.noted(f"the bundle has {blocks} blocks, so {blocks} of {boards} boards are started")
    return min(boards, blocks)


def _measured(bundle: Bundle, runtime: str, threads: int) -> tuple[float, ...]:
    return tuple(step_seconds(bundle, runtime=runtime, threads=threads))


def _facts(bundle: Bundle, weights: tuple[float, ...] | None, threads_used: int) -> RunFacts:
    return RunFacts(uuid.uuid4().hex, bundle.manifest_sha256, weights, threads_used)


def _shown(recorded: RecordedRun) -> dict[str, Any]:
    said = {name: getattr(recorded.spec, name) for name in _SHOWN}
    return {**said, "threads_used": recorded.facts.threads_used}


def _shown_cluster(inventory: Cluster, path: str) -> dict[str, Any]:
    return {"boards": len(inventory.boards), "window": inventory.host.window, "cluster": path}
