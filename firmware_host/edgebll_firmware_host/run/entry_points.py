"""`edgebll simulate` and `edgebll run` as functions: the same options, in any thread, with a callback for progress."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from edgebll.data.own.given_samples import live, named_data
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.listener import Listener, as_listener
from edgebll.kernel.runs.run_events import EventCallback
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.runs.run_result import RunResult
from edgebll.kernel.spec.emulated_boards import DEFAULT_EMULATED
from edgebll.kernel.support.option_values import KeyValues, given_options
from edgebll_firmware_host.run.entry_arguments import Place, check_only_resume, data_name, needed_folder, path_text
from edgebll_firmware_host.run.launch import begin_on_cluster, begin_simulated, go_on
from edgebll_firmware_host.run.run_spec import SNAPSHOT_SECONDS, ClusterSpec, SimulateSpec


def simulate(
    bundle: Place | None = None,
    out: Place | None = None,
    *,
    data: Any = None,
    data_option: KeyValues | None = None,
    epochs: int = 1,
    boards: int = 4,
    microcontrollers: int = 0,
    emulate: str = DEFAULT_EMULATED,
    window: int | None = None,
    lr: float | None = None,
    schedule: str | None = None,
    warmup_steps: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    augment: str | None = None,
    sampling: str | None = None,
    threads: int = 1,
    cap_threads: bool = True,
    memory_check: bool = True,
    runtime: str = "onnxruntime",
    snapshot_every: int = 0,
    snapshot_seconds: float = SNAPSHOT_SECONDS,
    keep_snapshots: int = KEPT_SNAPSHOTS,
    measure: bool = False,
    deadline: float = 10.0,
    patience: float = 300.0,
    resume: Place | None = None,
    data_dir: Place | None = None,
    overwrite: bool = False,
    progress: EventCallback | Listener | None = None,
) -> RunResult:
    """Train a bundle on agents that are started on this machine as processes of their own and end with the run.

    The final states are the same bit for bit for any number of boards and any window, and those of `boards=0`; and whatever
    agents die on the way. Microcontrollers have the bits of the runtime "ordered": with another one on the other boards, those
    depend on which blocks are where. It may be called in any thread, and where an event loop runs; nothing is printed.

    Args:
        bundle: a bundle, e.g. of `export`.
        out: the run folder to write.
        data: name of the data set, the path of own data, or samples as they are, see `train`; by default the bundle's.
        data_option: options of own data; by default the bundle's, where data are of the same kind.
        epochs: passes over the training data; 0 only evaluates.
        boards: agents to start; 0 runs all blocks one after another in this process.
        microcontrollers: how many of them, the first ones, have their blocks on an emulated microcontroller; needs a bundle for
            the target "microcontroller", QEMU and a compiler.
        emulate: which, a board of `edgebll firmware boards`; "host" is a process of this machine.
        window: batches in flight; by default 8.
        lr: peak learning rate; by default the bundle's.
        schedule: "constant", "cosine" or "step"; by default the bundle's.
        warmup_steps: steps of linear warm-up; by default the bundle's.
        seed: decides the order of samples.
        limit: use at most so many training samples.
        augment: "none", "standard" or "reflect"; by default the bundle's.
        sampling: how training samples are drawn, "uniform", "balanced" by class, or by own weights, "weights:FILE.npy"; by
            default the bundle's.
        threads: of each board's training step.
        cap_threads: use no more threads on a board than it has processors.
        memory_check: refuse to begin where blocks need more memory, by an estimate, than there is.
        runtime: what computes on the boards, e.g. "onnxruntime" or "reference".
        snapshot_every: save all states every so many steps; 0 for never.
        snapshot_seconds: save all states every so many seconds; 0 for never.
        keep_snapshots: how many of the newest snapshots stay on the disk.
        measure: place blocks by the time their steps take on this machine, not by an estimate.
        deadline: seconds of silence after which a board counts as lost.
        patience: seconds without progress after which recovering is given up; 0 gives up at the first failure.
        resume: go on with the unfinished run in this folder; all other options are those it began with, but for a live source.
        data_dir: folder with the data set's files.
        overwrite: replace a run that is already at `out`.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The run's folder, accuracy, loss, hash of the final states and summary.

    Raises:
        ConfigError: an option is wrong or does not fit the bundle.
        BundleError: the bundle is broken, or there is no run to resume.
        DataError: the data set is missing or does not fit.
        StorageError: there is a run at `out`, or the disk refuses.
        LinkError: boards cannot be reached, or a link broke for good; the run can be resumed.
        BoardError: boards failed or vanished for good; the run can be resumed.

    Examples:
        >>> import edgebll
        >>> result = edgebll.simulate("bundle", "simulated", boards=2, limit=160)
        >>> result.summary["steps"], result.summary["placement"]
        (10, {'board0': ['block0'], 'board1': ['block1']})
    """
    spec = SimulateSpec(
        bundle=path_text(bundle) or "",
        data=data_name(data),
        data_options=given_options("data", data_option),
        data_dir=path_text(data_dir),
        epochs=epochs,
        lr=lr,
        schedule=schedule,
        warmup_steps=warmup_steps,
        seed=seed,
        limit=limit,
        augment=augment,
        sampling=sampling,
        window=window,
        snapshot_every=snapshot_every,
        snapshot_seconds=snapshot_seconds,
        keep_snapshots=keep_snapshots,
        measure=measure,
        boards=boards,
        microcontrollers=microcontrollers,
        emulate=emulate,
        threads=threads,
        cap_threads=cap_threads,
        memory_check=memory_check,
        runtime=runtime,
        deadline=deadline,
        patience=patience,
    )
    listener = as_listener(progress)
    if resume is not None:
        check_only_resume(spec, out, overwrite)
        with live(data):
            return go_on(spec.kind, Path(resume), listener)
    with named_data(data, folder := needed_folder(spec, out)) as (name, samples):
        return begin_simulated(replace(spec, data=name), folder, listener, overwrite=overwrite, samples=samples)


def run(
    bundle: Place | None = None,
    out: Place | None = None,
    cluster: Place | None = None,
    *,
    data: Any = None,
    data_option: KeyValues | None = None,
    epochs: int = 1,
    window: int | None = None,
    lr: float | None = None,
    schedule: str | None = None,
    warmup_steps: int | None = None,
    seed: int = 0,
    limit: int | None = None,
    augment: str | None = None,
    sampling: str | None = None,
    snapshot_every: int = 0,
    snapshot_seconds: float = SNAPSHOT_SECONDS,
    keep_snapshots: int = KEPT_SNAPSHOTS,
    measure: bool = False,
    resume: Place | None = None,
    data_dir: Place | None = None,
    overwrite: bool = False,
    preflight: bool = True,
    progress: EventCallback | Listener | None = None,
) -> RunResult:
    """Train a bundle on the boards of a cluster, on each of which `edgebll-board serve` is running.

    Boards of the inventory that the blocks do not need are spares: they step in for boards that fail.

    Args:
        bundle: a bundle, e.g. of `export`.
        out: the run folder to write.
        cluster: the inventory of boards, cluster.toml; with `resume`, another one than the run began with.
        data: name of the data set, the path of own data, or samples as they are, see `train`; by default the bundle's.
        data_option: options of own data; by default the bundle's, where data are of the same kind.
        epochs: passes over the training data; 0 only evaluates.
        window: batches in flight; by default the inventory's.
        lr: peak learning rate; by default the bundle's.
        schedule: "constant", "cosine" or "step"; by default the bundle's.
        warmup_steps: steps of linear warm-up; by default the bundle's.
        seed: decides the order of samples.
        limit: use at most so many training samples.
        augment: "none", "standard" or "reflect"; by default the bundle's.
        sampling: how training samples are drawn, "uniform", "balanced" by class, or by own weights, "weights:FILE.npy"; by
            default the bundle's.
        snapshot_every: save all states every so many steps; 0 for never.
        snapshot_seconds: save all states every so many seconds; 0 for never.
        keep_snapshots: how many of the newest snapshots stay on the disk.
        measure: place blocks by the time their steps take on this machine, not by an estimate.
        resume: go on with the unfinished run in this folder; all other options are those it began with, but for a live source.
        data_dir: folder with the data set's files.
        overwrite: replace a run that is already at `out`.
        preflight: let boards try their links before anything is loaded.
        progress: takes events, see `edgebll.kernel.runs.run_events`.

    Returns:
        The run's folder, accuracy, loss, hash of the final states and summary.

    Raises:
        ConfigError: an option or the inventory is wrong, or does not fit the bundle.
        EdgebllError: another one of those of `simulate`.

    Examples:
        >>> import edgebll
        >>> result = edgebll.run("bundle", "on-boards", cluster="cluster.toml", limit=160)
        >>> result.summary["steps"], result.summary["boards"]
        (10, 2)
    """
    spec = ClusterSpec(
        bundle=path_text(bundle) or "",
        cluster=path_text(cluster) or "",
        data=data_name(data),
        data_options=given_options("data", data_option),
        data_dir=path_text(data_dir),
        epochs=epochs,
        lr=lr,
        schedule=schedule,
        warmup_steps=warmup_steps,
        seed=seed,
        limit=limit,
        augment=augment,
        sampling=sampling,
        window=window,
        snapshot_every=snapshot_every,
        snapshot_seconds=snapshot_seconds,
        keep_snapshots=keep_snapshots,
        measure=measure,
    )
    listener = as_listener(progress)
    if resume is not None:
        check_only_resume(spec, out, overwrite, "cluster")
        path = Path(cluster) if cluster is not None else None
        with live(data):
            return go_on(spec.kind, Path(resume), listener, cluster=path, preflight=preflight)
    if not spec.cluster:
        raise ConfigError("give the inventory of boards, cluster")
    with named_data(data, folder := needed_folder(spec, out)) as (name, samples):
        spec = replace(spec, data=name)
        return begin_on_cluster(spec, folder, listener, overwrite=overwrite, preflight=preflight, samples=samples)
