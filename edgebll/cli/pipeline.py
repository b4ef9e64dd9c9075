"""`edgebll simulate` and `run`: training pipelined over boards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.bundle import Bundle, open_bundle
from edgebll.cli import boards as boards_commands
from edgebll.cli.boards import BundleArgument, ClusterOption, MeasureOption, measured
from edgebll.cli.output import JsonOption, say
from edgebll.cli.streaming import Machinery, StreamOptions, execute
from edgebll.cli.train import DataDirOption
from edgebll.errors import ConfigError

if TYPE_CHECKING:
    from edgebll_firmware_host.engines import Engine

OutOption = Annotated[Path, typer.Option(help="The run folder to write.")]
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
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already at --out.")]
ThreadsOption = Annotated[int, typer.Option(help="Threads of each board's training step.")]
RuntimeOption = Annotated[str, typer.Option(help="Runtime of the boards, e.g. onnxruntime, tensorrt or reference.")]


def register(app: typer.Typer) -> None:
    """Add simulate, run, plan and devices to `app`."""
    app.command(short_help="Pipeline training over agents started on this machine.")(simulate)
    app.command(short_help="Pipeline training over the boards of a cluster.")(run)
    boards_commands.register(app)


def simulate(
    bundle: BundleArgument,
    out: OutOption,
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
    runtime: RuntimeOption = "onnxruntime",
    snapshot_every: SnapshotOption = 0,
    measure: MeasureOption = False,
    deadline: Annotated[float, typer.Option(help="Seconds of silence after which a board counts as lost.")] = 10.0,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a bundle on agents that are started on this machine as processes of their own and end with the run.

    The final states are the same bit for bit for any number of boards and any window, and those of --boards 0.
    """
    from edgebll_firmware_host.engines import LocalProcesses
    from edgebll_firmware_host.inventory import HostEntry

    _check_simulate(boards, threads, runtime)
    host = HostEntry(deadline_s=deadline) if window is None else HostEntry(window=window, deadline_s=deadline)
    opened = open_bundle(bundle)
    options = StreamOptions(data, epochs, lr, schedule, warmup_steps, seed, limit, snapshot_every, data_dir, overwrite, augment)
    agents = _useful(boards, opened)

    def engine(run_path: Path) -> Engine:
        return LocalProcesses(agents, run_path / "boards", threads=threads, runtime=runtime, host=host)

    weights = measured(opened, runtime, threads) if measure and agents else None
    facts = {"boards": boards, "window": host.window, "threads": threads, "runtime": runtime}
    machinery = Machinery(engine if agents else None, runtime, threads, weights, facts)
    execute("simulate", opened, out, options, machinery, json=json)


def _check_simulate(boards: int, threads: int, runtime: str) -> None:
    from edgebll_devices.runtimes import RUNTIMES

    if boards < 0:
        raise ConfigError(f"--boards must not be negative, but is {boards}")
    if threads < 1:
        raise ConfigError(f"--threads must be at least 1, not {threads}")
    if runtime not in RUNTIMES:
        raise ConfigError(f"the runtime must be one of {', '.join(RUNTIMES)}, not {runtime!r}")


def _useful(boards: int, bundle: Bundle) -> int:
    """How many agents to start: those beyond the number of blocks would have nothing to do."""
    blocks = len(bundle.manifest.blocks)
    if boards > blocks:
        say(f"edgebll: the bundle has {blocks} blocks, so {blocks} of {boards} boards are started")
    return min(boards, blocks)


def run(
    bundle: BundleArgument,
    out: OutOption,
    cluster: ClusterOption,
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
    measure: MeasureOption = False,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a bundle on the boards of a cluster, on each of which `edgebll-board serve` is running."""
    from edgebll_firmware_host.engines import RunningAgents
    from edgebll_firmware_host.inventory import load_cluster

    inventory = load_cluster(cluster).with_window(window)
    opened = open_bundle(bundle)
    options = StreamOptions(data, epochs, lr, schedule, warmup_steps, seed, limit, snapshot_every, data_dir, overwrite, augment)
    first = inventory.boards[0]
    weights = measured(opened, first.runtime, first.threads) if measure else None
    facts = {"boards": len(inventory.boards), "window": inventory.host.window, "cluster": str(cluster)}
    machinery = Machinery(lambda _: RunningAgents(inventory), first.runtime, first.threads, weights, facts)
    execute("run", opened, out, options, machinery, json=json)
