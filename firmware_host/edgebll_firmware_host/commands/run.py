"""`edgebll simulate` and `run`: training pipelined over boards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.data_options import DataDirOption
from edgebll.cli.output import JsonOption, say
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.spec.runtime_names import check_runtime
from edgebll_firmware_host.commands.boards import MeasureOption, measured
from edgebll_firmware_host.commands.resume import check_only_resume, go_on
from edgebll_firmware_host.commands.run_job import execute
from edgebll_firmware_host.commands.stream_options import StreamOptions
from edgebll_firmware_host.engines.engine_choice import LocalAgents, on_cluster

#: Seconds between snapshots unless told otherwise.
SNAPSHOT_S = 30.0
DEFAULT_WINDOW = 8
#: As an inventory has them.
_MAX_DEADLINE_S, _MAX_PATIENCE_S = 1_000_000, 1_000_000_000
BundleArgument = Annotated[Path | None, typer.Argument(metavar="BUNDLE", help="A bundle, e.g. of `edgebll export`.")]
ClusterOption = Annotated[Path | None, typer.Option(help="The inventory of boards, cluster.toml.")]
OutOption = Annotated[Path | None, typer.Option(help="The run folder to write.")]
DataOption = Annotated[str | None, typer.Option(help="Data set. [default: the bundle's]", show_default=False)]
EpochsOption = Annotated[int, typer.Option(help="Passes over the training data; 0 only evaluates.")]
WindowOption = Annotated[
    int | None, typer.Option(help="Batches in flight. [default: 8, or the inventory's]", show_default=False)
]
LrOption = Annotated[float | None, typer.Option(help="Peak learning rate. [default: the bundle's]", show_default=False)]
ScheduleOption = Annotated[
    str | None, typer.Option(help="constant, cosine or step. [default: the bundle's]", show_default=False)
]
WarmupOption = Annotated[int | None, typer.Option(help="Steps of linear warm-up. [default: the bundle's]", show_default=False)]
SeedOption = Annotated[int, typer.Option(help="Decides the order of samples.")]
LimitOption = Annotated[int | None, typer.Option(help="Use at most so many training samples.")]
AugmentOption = Annotated[
    str | None, typer.Option(help="none, standard or reflect, see `edgebll train`. [default: the bundle's]", show_default=False)
]
SnapshotOption = Annotated[int, typer.Option(help="Save all states every so many steps; 0 for never.")]
SnapshotSecondsOption = Annotated[
    float, typer.Option(help="Save all states every so many seconds, to recover from; 0 for never.")
]
KeepSnapshotsOption = Annotated[int, typer.Option(help="How many of the newest snapshots stay on the disk.")]
ResumeOption = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Go on with the unfinished run in this folder from its last snapshot.")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already at --out.")]
PreflightOption = Annotated[
    bool, typer.Option("--preflight/--no-preflight", help="Let boards try their links before anything is loaded.")
]
ThreadsOption = Annotated[int, typer.Option(help="Threads of each board's training step.")]
CapThreadsOption = Annotated[
    bool, typer.Option(help="Use no more threads on a board than it has processors: more are slower, and may give other bits.")
]
MemoryCheckOption = Annotated[
    bool, typer.Option(help="Refuse to begin where blocks need more memory, by an estimate, than there is.")
]
RuntimeOption = Annotated[str, typer.Option(help="Runtime of the boards, e.g. onnxruntime, tensorrt or reference.")]


def simulate(
    context: typer.Context,
    bundle: BundleArgument = None,
    out: OutOption = None,
    data: DataOption = None,
    epochs: EpochsOption = 1,
    boards: Annotated[int, typer.Option(help="Agents to start; 0 runs all blocks one after another in this process.")] = 4,
    window: WindowOption = None,
    lr: LrOption = None,
    schedule: ScheduleOption = None,
    warmup_steps: WarmupOption = None,
    seed: SeedOption = 0,
    limit: LimitOption = None,
    augment: AugmentOption = None,
    threads: ThreadsOption = 1,
    cap_threads: CapThreadsOption = True,
    memory_check: MemoryCheckOption = True,
    runtime: RuntimeOption = "onnxruntime",
    snapshot_every: SnapshotOption = 0,
    snapshot_seconds: SnapshotSecondsOption = SNAPSHOT_S,
    keep_snapshots: KeepSnapshotsOption = KEPT_SNAPSHOTS,
    measure: MeasureOption = False,
    deadline: Annotated[float, typer.Option(help="Seconds of silence after which a board counts as lost.")] = 10.0,
    patience: Annotated[
        float, typer.Option(help="Seconds without progress after which recovering is given up; 0: at the first failure.")
    ] = 300.0,
    resume: ResumeOption = None,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a bundle on agents that are started on this machine as processes of their own and end with the run.

    The final states are the same bit for bit for any number of boards and any window, and those of --boards 0; and whatever
    agents die on the way, and if this process does and the run is resumed.
    """
    if resume is not None:
        check_only_resume(context)
        return go_on("simulate", resume, None, json=json)
    where = _needed(context, bundle, out)
    _check_simulate(boards, threads, runtime, deadline, patience)
    opened = open_bundle(where[0])
    window = DEFAULT_WINDOW if window is None else window
    agents = LocalAgents(_useful(boards, opened), window, threads, runtime, deadline, patience, cap_threads, memory_check)
    stream = (data, epochs, lr, schedule, warmup_steps, seed, limit, snapshot_every, data_dir, overwrite, augment)
    options = StreamOptions(*stream, snapshot_seconds, keep_snapshots)
    weights = measured(opened, runtime, threads) if measure and agents.boards else None
    return execute("simulate", opened, where[1], options, agents.machinery(weights), json=json)


def _check_simulate(boards: int, threads: int, runtime: str, deadline: float, patience: float) -> None:
    from edgebll_firmware_host.inventory import MIN_DEADLINE_S

    if boards < 0:
        raise ConfigError(f"--boards must not be negative, but is {boards}")
    if threads < 1:
        raise ConfigError(f"--threads must be at least 1, not {threads}")
    if not MIN_DEADLINE_S <= deadline < _MAX_DEADLINE_S:
        bounds = f"at least {MIN_DEADLINE_S:g}, two heartbeats, and less than {_MAX_DEADLINE_S}"
        raise ConfigError(f"--deadline must be a number of seconds, {bounds}, not {deadline:g}")
    if not 0 <= patience < _MAX_PATIENCE_S:
        raise ConfigError(f"--patience must be a number of seconds from 0 to less than {_MAX_PATIENCE_S}, not {patience:g}")
    check_runtime(runtime)


def _needed(context: typer.Context, bundle: Path | None, out: Path | None) -> tuple[Path, Path]:
    """The bundle and the run folder, which only a run that is resumed does without."""
    if bundle is None:
        raise ConfigError(f"give the bundle to run, or --resume RUN; see `{context.command_path} --help`")
    if out is None:
        raise ConfigError("give the run folder to write with --out")
    return bundle, out


def _useful(boards: int, bundle: Bundle) -> int:
    """How many agents to start: those beyond the number of blocks would have nothing to do."""
    blocks = len(bundle.manifest.blocks)
    if boards > blocks:
        say(f"edgebll: the bundle has {blocks} blocks, so {blocks} of {boards} boards are started")
    return min(boards, blocks)


def run(
    context: typer.Context,
    bundle: BundleArgument = None,
    out: OutOption = None,
    cluster: ClusterOption = None,
    data: DataOption = None,
    epochs: EpochsOption = 1,
    window: WindowOption = None,
    lr: LrOption = None,
    schedule: ScheduleOption = None,
    warmup_steps: WarmupOption = None,
    seed: SeedOption = 0,
    limit: LimitOption = None,
    augment: AugmentOption = None,
    snapshot_every: SnapshotOption = 0,
    snapshot_seconds: SnapshotSecondsOption = SNAPSHOT_S,
    keep_snapshots: KeepSnapshotsOption = KEPT_SNAPSHOTS,
    measure: MeasureOption = False,
    resume: ResumeOption = None,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    preflight: PreflightOption = True,
    json: JsonOption = False,
) -> None:
    """Train a bundle on the boards of a cluster, on each of which `edgebll-board serve` is running.

    Boards of the inventory that the blocks do not need are spares: they step in for boards that fail.
    """
    from edgebll_firmware_host.inventory import load_cluster

    if resume is not None:
        check_only_resume(context, "cluster", "preflight")
        return go_on("run", resume, cluster, json=json, preflight=preflight)
    where = _needed(context, bundle, out)
    if cluster is None:
        raise ConfigError("give the inventory of boards with --cluster")
    inventory = load_cluster(cluster).with_window(window)
    opened = open_bundle(where[0])
    stream = (data, epochs, lr, schedule, warmup_steps, seed, limit, snapshot_every, data_dir, overwrite, augment)
    options = StreamOptions(*stream, snapshot_seconds, keep_snapshots)
    first = inventory.boards[0]
    weights = measured(opened, first.runtime, first.threads) if measure else None
    return execute("run", opened, where[1], options, on_cluster(inventory, cluster, weights, preflight=preflight), json=json)
