"""`edgebll simulate`, `run`, `plan` and `devices`: training pipelined over boards."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.bundle import Bundle, open_bundle
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.cli.progress import RunProgress
from edgebll.cli.train import DataDirOption
from edgebll.errors import ConfigError
from edgebll.schedule import Schedule

if TYPE_CHECKING:
    from edgebll.data import Dataset
    from edgebll_firmware_host.engines import Engine
    from edgebll_firmware_host.inventory import Cluster
    from edgebll_firmware_host.recorder import Recorder

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle, e.g. of `edgebll export`.")]
ClusterOption = Annotated[Path, typer.Option(help="The inventory of boards, cluster.toml.")]
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
SnapshotOption = Annotated[int, typer.Option(help="Save all states every so many steps; 0 for never.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is already at --out.")]
ThreadsOption = Annotated[int, typer.Option(help="Threads of each board's training step.")]
RuntimeOption = Annotated[str, typer.Option(help="Runtime of the boards: onnxruntime or reference.")]


def register(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    app.command(short_help="Pipeline training over agents started on this machine.")(simulate)
    app.command(short_help="Pipeline training over the boards of a cluster.")(run)
    app.command(short_help="Show which block would run where, with memory and traffic.")(plan)
    app.command(short_help="Ask the boards of a cluster who they are.")(devices)


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
    threads: ThreadsOption = 1,
    runtime: RuntimeOption = "onnxruntime",
    snapshot_every: SnapshotOption = 0,
    deadline: Annotated[float, typer.Option(help="Seconds of silence after which a board counts as lost.")] = 10.0,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a bundle on agents that are started on this machine as processes of their own and end with the run.

    The final states are the same bit for bit for any number of boards and any window, and those of --boards 0.
    """
    from edgebll_firmware_host.engines import LocalProcesses
    from edgebll_firmware_host.inventory import HostEntry, check_window

    if boards < 0:
        raise ConfigError(f"--boards must not be negative, but is {boards}")
    host = HostEntry(deadline_s=deadline) if window is None else HostEntry(window=window, deadline_s=deadline)
    check_window(host.window)
    opened = open_bundle(bundle)
    options = StreamOptions(data, epochs, lr, schedule, warmup_steps, seed, limit, snapshot_every, data_dir, overwrite)

    def engine(run_path: Path) -> Engine | None:
        logs = run_path / "boards"
        return LocalProcesses(boards, logs, threads=threads, runtime=runtime, host=host) if boards else None

    facts = {"boards": boards, "window": host.window, "threads": threads, "runtime": runtime}
    _execute("simulate", opened, out, options, engine, facts, json)


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
    snapshot_every: SnapshotOption = 0,
    data_dir: DataDirOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Train a bundle on the boards of a cluster, on each of which `edgebll-board serve` is running."""
    from edgebll_firmware_host.engines import RunningAgents
    from edgebll_firmware_host.inventory import load_cluster

    inventory = load_cluster(cluster).with_window(window)
    opened = open_bundle(bundle)
    options = StreamOptions(data, epochs, lr, schedule, warmup_steps, seed, limit, snapshot_every, data_dir, overwrite)
    facts = {"boards": len(inventory.boards), "window": inventory.host.window, "cluster": str(cluster)}
    _execute("run", opened, out, options, lambda _: RunningAgents(inventory), facts, json)


def _execute(
    kind: str, bundle: Bundle, out: Path, options: StreamOptions, engine_of: Any, facts: dict[str, Any], json: bool
) -> None:
    """Run a bundle's stream on an engine, or in this process if there is none, and print the result."""
    from edgebll.runfolder import RunFolder
    from edgebll.stream import StreamPlan, check_fits, stream
    from edgebll_firmware_host.recorder import Recorder

    manifest = bundle.manifest
    train, test = _load_data(bundle, options)
    check_fits(manifest, train, str(bundle.path))
    streamed = StreamPlan(
        run=uuid.uuid4().hex,
        block=manifest.blocks[0].name,
        batch_size=manifest.batch_size,
        epochs=options.epochs,
        schedule=_schedule(manifest.recipe, options),
        seed=options.seed,
        snapshot_every=options.snapshot_every,
    )
    steps = streamed.steps_per_epoch(train)
    if options.epochs and not steps:
        raise ConfigError(f"{len(train)} training samples do not fill one batch of {manifest.batch_size}; raise --limit")
    config = {"kind": kind, "bundle": str(bundle.path), "data": train.name, **facts, **_plain(options, streamed.schedule)}
    names = tuple(block.name for block in manifest.blocks)
    with (
        RunFolder.create(out, config, overwrite=options.overwrite) as folder,
        RunProgress("pipeline" if facts["boards"] else "sequential") as progress,
    ):
        progress.started(names, 0, options.epochs * steps)
        recorder = Recorder(folder, progress, names, manifest.batch_size, steps, len(test))
        summary, notes = _go(bundle, streamed.run, stream(streamed, train, test), engine_of(folder.path), recorder, facts)
    for note in notes:
        say(f"edgebll: {note}")
    _print_result(out, summary, json)


def _go(
    bundle: Bundle, run_id: str, tokens: Iterator[Any], engine: Engine | None, recorder: Recorder, facts: dict[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    from edgebll_firmware_host.result import finish_run

    if engine is None:
        started = time.monotonic()
        states = _in_this_process(bundle, run_id, tokens, recorder, facts)
        return finish_run(bundle, recorder, states, time.monotonic() - started, facts)
    from edgebll_firmware_host.cluster_run import run_on_boards

    outcome = run_on_boards(bundle, run_id, tokens, engine, recorder)
    more = {
        "placement": {board: list(blocks) for board, blocks in outcome.placement.blocks.items()},
        "start_seconds": outcome.start_seconds,
        "bytes_streamed": outcome.bytes_streamed,
        "bytes_shipped": outcome.bytes_shipped,
    }
    return finish_run(bundle, recorder, outcome.states, outcome.stream_seconds, {**facts, **more})


def _in_this_process(
    bundle: Bundle, run_id: str, tokens: Iterator[Any], recorder: Recorder, facts: dict[str, Any]
) -> dict[str, Any]:
    from edgebll.wire import Report, State
    from edgebll_devices.sequential import run_sequential
    from edgebll_firmware_host.snapshots import SnapshotWriter

    snapshots = SnapshotWriter(recorder.folder.path, recorder.blocks)
    states: dict[str, Any] = {}
    messages = run_sequential(bundle, run_id, tokens, runtime=facts["runtime"], threads=facts["threads"])
    for message in messages:
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


def _schedule(recipe: dict[str, Any], options: StreamOptions) -> Schedule:
    recorded = Schedule(
        lr=float(recipe.get("lr", 0.05)),
        kind=str(recipe.get("kind", "cosine")),
        warmup_steps=int(recipe.get("warmup_steps", 0)),
        milestones=tuple(float(m) for m in recipe.get("milestones", (0.5, 0.75))),
        decay=float(recipe.get("decay", 0.1)),
    )
    given = {"lr": options.lr, "kind": options.schedule, "warmup_steps": options.warmup_steps}
    return replace(recorded, **{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def _plain(options: StreamOptions, schedule: Schedule) -> dict[str, Any]:
    kept = ("epochs", "seed", "limit", "snapshot_every")
    return {**{name: getattr(options, name) for name in kept}, "schedule": asdict(schedule)}


def _print_result(out: Path, summary: dict[str, Any], json: bool) -> None:
    if json:
        print_json({"path": str(out), **summary})
        return
    accuracy = "not evaluated" if summary["accuracy"] is None else f"accuracy {100 * summary['accuracy']:.2f} %"
    typer.echo(
        f"{out}: {accuracy}, {summary['steps']} steps in {summary['seconds']:.1f} s "
        f"({summary['samples_per_second']:.0f} samples/s), state {summary['state_sha256'][:16]}"
    )


def plan(
    bundle: BundleArgument,
    cluster: Annotated[Path | None, typer.Option(help="The inventory of boards, cluster.toml.")] = None,
    boards: Annotated[int, typer.Option(help="Number of equal boards, without --cluster.")] = 4,
    json: JsonOption = False,
) -> None:
    """Show the placement of a bundle's blocks on boards before anything runs, with memory and traffic."""
    from edgebll_firmware_host.inventory import BoardEntry, load_cluster
    from edgebll_firmware_host.placement import block_weights, place

    opened = open_bundle(bundle)
    if cluster is None and boards < 1:
        raise ConfigError(f"--boards must be at least 1, not {boards}")
    local = tuple(BoardEntry(f"board{i}", f"tcp://127.0.0.1:{i + 1}") for i in range(boards))
    entries = local if cluster is None else load_cluster(cluster).boards
    specs = {block.name: block for block in opened.manifest.blocks}
    placed = place(list(specs), block_weights(opened), entries)
    rows: list[dict[str, Any]] = []
    for board, hosted in placed.blocks.items():
        # Two copies of the state: the step reads one and writes the other.
        memory = sum(2 * specs[b].state_bytes + specs[b].input.size_bytes + specs[b].output.size_bytes for b in hosted)
        arriving = specs[hosted[0]].input.size_bytes + specs[hosted[0]].labels.size_bytes
        rows.append({"board": board, "blocks": list(hosted), "memory_bytes": memory, "bytes_per_step": arriving})
    if json:
        print_json({"bundle": str(bundle), "placement": rows})
        return
    columns = ("board", "blocks", "state and activations, MiB", "arriving per step, KiB")
    cells = [
        (r["board"], " ".join(r["blocks"]), f"{r['memory_bytes'] / 2**20:.1f}", f"{r['bytes_per_step'] / 2**10:.1f}")
        for r in rows
    ]
    print_table(columns, cells, right=columns[2:])


def devices(cluster: ClusterOption, json: JsonOption = False) -> None:
    """Ask every board of a cluster who it is; exit code 7 if one does not answer."""
    from edgebll.errors import BoardError, LinkError
    from edgebll_firmware_host.board_link import BoardLink
    from edgebll_firmware_host.inventory import load_cluster

    inventory = load_cluster(cluster)
    rows, problems = [], []
    for entry in inventory.boards:
        link = BoardLink(entry, uuid.uuid4().hex, inventory.keys, inventory.host.deadline_s)
        with contextlib.closing(link):
            try:
                found = link.greet()
                link.stop(inventory.host.deadline_s)
                rows.append({"board": entry.name, "endpoint": entry.endpoint, **_facts(found)})
            except (LinkError, BoardError) as error:
                problems.append(error)
                rows.append({"board": entry.name, "endpoint": entry.endpoint, "problem": str(error)})
    _print_devices(rows, inventory, json)
    if problems:
        raise problems[0]


def _facts(welcome: Any) -> dict[str, Any]:
    names = ("version", "cores", "memory_bytes", "python", "platform", "data_endpoint")
    return {**{name: getattr(welcome, name) for name in names}, "runtimes": list(welcome.runtimes)}


def _print_devices(rows: list[dict[str, Any]], inventory: Cluster, json: bool) -> None:
    if json:
        print_json(rows)
        return
    columns = ("board", "endpoint", "edgebll", "cores", "memory, GiB", "python", "machine", "runtimes")
    cells = []
    for row in rows:
        if "problem" in row:
            cells.append((row["board"], row["endpoint"], "no answer", "", "", "", "", ""))
            continue
        memory = f"{row['memory_bytes'] / 2**30:.1f}"
        fixed = (row["board"], row["endpoint"], row["version"], str(row["cores"]), memory, row["python"], row["platform"])
        cells.append((*fixed, " ".join(row["runtimes"])))
    print_table(columns, cells, title=f"{len(inventory.boards)} boards")
