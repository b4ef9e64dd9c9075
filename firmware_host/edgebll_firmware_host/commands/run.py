"""`edgebll simulate` and `run`: training pipelined over boards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.output import JsonOption
from edgebll.kernel.runs.run_lock import KEPT_SNAPSHOTS
from edgebll.kernel.spec.emulated_boards import DEFAULT_EMULATED
from edgebll_firmware_host.commands.boards import MeasureOption
from edgebll_firmware_host.commands.run_result import execute
from edgebll_firmware_host.commands.virtual_time import (
    DrainOption,
    FailOption,
    JoinOption,
    LifeShapeOption,
    LinkOption,
    MeanLifeOption,
    PowerModeOption,
    ProfileOption,
    RepairOption,
    SeedsOption,
    StepsOption,
    VirtualClusterOption,
    VirtualOption,
    execute_virtually,
    take_virtual_options,
)
from edgebll_firmware_host.run import entry_points
from edgebll_firmware_host.run.run_spec import SNAPSHOT_SECONDS

BundleArgument = Annotated[Path | None, typer.Argument(metavar="BUNDLE", help="A bundle, e.g. of `edgebll export`.")]
ClusterOption = Annotated[Path | None, typer.Option(help="The inventory of boards, cluster.toml.")]
OutOption = Annotated[Path | None, typer.Option(help="The run folder to write.")]
DataOption = Annotated[
    str | None, typer.Option(help="Data set, or path of own data. [default: the bundle's]", show_default=False)
]
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
SamplingOption = Annotated[
    str | None,
    typer.Option(
        help="How training samples are drawn: uniform (each once an epoch), balanced (each class as often, with replacement) "
        "or weights:FILE.npy (by a weight for each sample; weights:NAME for an array of the data). [default: the bundle's]",
        show_default=False,
    ),
]
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
    data_option: DataKeyValues = None,
    epochs: EpochsOption = 1,
    boards: Annotated[int, typer.Option(help="Agents to start; 0 runs all blocks one after another in this process.")] = 4,
    microcontrollers: Annotated[
        int, typer.Option(help="How many of them, the first ones, have their blocks on an emulated microcontroller.")
    ] = 0,
    emulate: Annotated[str, typer.Option(help="Which: a board of `edgebll firmware boards`.")] = DEFAULT_EMULATED,
    window: WindowOption = None,
    lr: LrOption = None,
    schedule: ScheduleOption = None,
    warmup_steps: WarmupOption = None,
    seed: SeedOption = 0,
    limit: LimitOption = None,
    augment: AugmentOption = None,
    sampling: SamplingOption = None,
    threads: ThreadsOption = 1,
    cap_threads: CapThreadsOption = True,
    memory_check: MemoryCheckOption = True,
    runtime: RuntimeOption = "onnxruntime",
    snapshot_every: SnapshotOption = 0,
    snapshot_seconds: SnapshotSecondsOption = SNAPSHOT_SECONDS,
    keep_snapshots: KeepSnapshotsOption = KEPT_SNAPSHOTS,
    measure: MeasureOption = False,
    deadline: Annotated[float, typer.Option(help="Seconds of silence after which a board counts as lost.")] = 10.0,
    patience: Annotated[
        float, typer.Option(help="Seconds without progress after which recovering is given up; 0: at the first failure.")
    ] = 300.0,
    resume: ResumeOption = None,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    virtual: VirtualOption = False,
    cluster: VirtualClusterOption = None,
    board_profile: ProfileOption = None,
    power_mode: PowerModeOption = None,
    link: LinkOption = None,
    steps: StepsOption = None,
    fail: FailOption = None,
    join: JoinOption = None,
    drain: DrainOption = None,
    mean_life: MeanLifeOption = None,
    life_shape: LifeShapeOption = None,
    repair: RepairOption = None,
    seeds: SeedsOption = None,
    json: JsonOption = False,
) -> None:
    """Train a bundle on agents that are started on this machine as processes of their own and end with the run.

    The final states are the same bit for bit for any number of boards and any window, and those of --boards 0; and whatever
    agents die on the way, and if this process does and the run is resumed. Microcontrollers have the bits of --runtime ordered:
    with ONNX Runtime on the other boards, those depend on which blocks are where.

    With --virtual nothing is trained: it tells how long such a run would take on boards that need not be there, how busy each
    is, what it draws, and what failures cost.
    """
    if take_virtual_options(context):
        return execute_virtually(context)
    return execute(context, entry_points.simulate, "sequential" if boards == 0 else "pipeline")


def run(
    context: typer.Context,
    bundle: BundleArgument = None,
    out: OutOption = None,
    cluster: ClusterOption = None,
    data: DataOption = None,
    data_option: DataKeyValues = None,
    epochs: EpochsOption = 1,
    window: WindowOption = None,
    lr: LrOption = None,
    schedule: ScheduleOption = None,
    warmup_steps: WarmupOption = None,
    seed: SeedOption = 0,
    limit: LimitOption = None,
    augment: AugmentOption = None,
    sampling: SamplingOption = None,
    snapshot_every: SnapshotOption = 0,
    snapshot_seconds: SnapshotSecondsOption = SNAPSHOT_SECONDS,
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
    execute(context, entry_points.run, "pipeline")
