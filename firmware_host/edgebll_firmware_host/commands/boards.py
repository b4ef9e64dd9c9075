"""`edgebll plan`: what would run where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.spec.edge_check import HOST, EdgeSpec, is_chain, received_name
from edgebll.kernel.spec.runtime_names import SERIAL
from edgebll.kernel.spec.side_inputs import chain_bytes
from edgebll.kernel.support.link_quantities import speed_and_delay

if TYPE_CHECKING:
    from edgebll_firmware_host.inventory import BoardEntry, Cluster
    from edgebll_firmware_host.policy.block_placement import Placement
    from edgebll_firmware_host.policy.cost_model import CostModel
    from edgebll_firmware_host.policy.known_costs import KnownCosts
    from edgebll_firmware_host.policy.memory_fit import Room

BundleArgument = Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle, e.g. of `edgebll export`.")]
_MAX_BOARDS, _MICROCONTROLLER = 65535, "microcontroller"
MeasureOption = Annotated[
    bool, typer.Option("--measure", help="Place blocks by the time their steps take on this machine, not by an estimate.")
]
WhatIfOption = Annotated[
    list[str] | None,
    typer.Option(help="Other boards: +PROFILE:COUNT adds some, BOARD=off leaves one out, BOARD=MODE changes its power mode."),
]
PowerModeOption = Annotated[
    str | None,
    typer.Option(help="Power mode of all boards whose profile has it. [default: the inventory's]", show_default=False),
]
LinkOption = Annotated[
    str | None,
    typer.Option(
        help="Links of which the inventory says nothing: SPEED/DELAY, as 5Mbit/20ms. [default: quick ones]", show_default=False
    ),
]
ObjectiveOption = Annotated[str, typer.Option(help="What it is to be best in: throughput, energy or makespan (of one step).")]


def plan(
    bundle: BundleArgument,
    cluster: Annotated[Path | None, typer.Option(help="The inventory of boards, cluster.toml.")] = None,
    boards: Annotated[
        int | None, typer.Option(help="Number of equal boards, without --cluster. [default: 4]", show_default=False)
    ] = None,
    measure: MeasureOption = False,
    what_if: WhatIfOption = None,
    power_mode: PowerModeOption = None,
    link: LinkOption = None,
    objective: ObjectiveOption = "throughput",
    json: JsonOption = False,
) -> None:
    """Show the placement of a bundle's blocks on boards before anything runs, with memory and traffic.

    Where boards were calibrated, or steps are timed here by --measure, also the throughput, what limits it, how busy boards
    are, the energy of a sample (an estimate) and what the next best placement would give. Boards of an inventory that answer
    are asked what memory they have; exit code 2 if blocks do not fit. Of a bundle for microcontrollers also what each block
    takes of one, and what computing activations again saves there and costs.
    """
    from edgebll_firmware_host.commands.microcontroller_tables import block_rows
    from edgebll_firmware_host.commands.plan_memory import plan_room, roomy
    from edgebll_firmware_host.commands.plan_prediction import placed_by, prediction
    from edgebll_firmware_host.commands.what_if import changed_boards, in_power_mode
    from edgebll_firmware_host.inventory import load_cluster

    if cluster is not None and boards is not None:
        raise ConfigError("--boards is for equal boards without an inventory; leave it or --cluster out")
    opened = open_bundle(bundle)
    inventory = load_cluster(cluster) if cluster is not None else None
    as_they_are = inventory.boards if inventory is not None else _equal(4 if boards is None else boards)
    entries = changed_boards(as_they_are, what_if or [])
    entries = in_power_mode(entries, power_mode) if power_mode else entries
    seconds = measured(opened) if measure else None
    costs = _costs(opened, inventory, seconds, link, objective)
    there = plan_room(opened, inventory)
    room = roomy(there, costs.model(entries))
    placed = placed_by(costs, entries, room)
    problem = room.problem(placed.blocks, entries)
    result: dict[str, Any] = {
        "bundle": str(bundle),
        "placement": [_row(opened, entry, placed, room, costs.model(entries)) for entry in entries],
        "links": _links(opened, placed),
        "problem": problem,
    }
    if opened.manifest.target == _MICROCONTROLLER:
        result["blocks"] = block_rows(room.needs.planned())
    result |= prediction(costs, entries, room, placed)
    if entries != as_they_are:
        before = roomy(there, costs.model(as_they_are))
        result["as_boards_are"] = prediction(costs, as_they_are, before, placed_by(costs, as_they_are, before))
    if json:
        print_json(result)
    else:
        _print_plan(result)
    if problem:
        raise ConfigError(problem)


def _equal(boards: int) -> tuple[BoardEntry, ...]:
    from edgebll_firmware_host.inventory import BoardEntry

    if not 1 <= boards <= _MAX_BOARDS:
        raise ConfigError(f"--boards must be at least 1 and at most {_MAX_BOARDS}, not {boards}")
    return tuple(BoardEntry(f"board{index}", f"tcp://127.0.0.1:{index + 1}") for index in range(boards))


def _costs(
    bundle: Bundle, inventory: Cluster | None, seconds: list[float] | None, link: str | None, objective: str
) -> KnownCosts:
    from edgebll_firmware_host.inventory import HostEntry
    from edgebll_firmware_host.policy.cost_model import QUICK, LinkCost
    from edgebll_firmware_host.policy.known_costs import KnownCosts
    from edgebll_firmware_host.policy.placement_objective import PlacementGoal
    from edgebll_firmware_host.policy.workload import Workload

    bytes_per_s, latency_s = speed_and_delay("--link", link) if link is not None else (0.0, 0.0)
    window = inventory.host.window if inventory is not None else HostEntry().window
    return KnownCosts(
        Workload.of(bundle, window, seconds),
        inventory.links if inventory is not None else (),
        inventory.calibration if inventory is not None else None,
        LinkCost(latency_s, bytes_per_s) if link is not None else QUICK,
        PlacementGoal(objective),
    )


def measured(bundle: Bundle, runtime: str = "onnxruntime", threads: int = 1) -> list[float]:
    """Seconds of one training step of each block on this machine."""
    from edgebll.kernel.execution.step_timing import step_seconds

    return step_seconds(bundle, runtime=runtime, threads=threads)


def _row(bundle: Bundle, board: BoardEntry, placed: Placement, room: Room, model: CostModel) -> dict[str, Any]:
    """A board's blocks, the memory they need about, and what there is, None where that is not known."""
    hosted = placed.blocks.get(board.name, ())
    row: dict[str, Any] = {"board": board.name, "blocks": list(hosted), "memory_bytes": room.needs.of(hosted, board.runtime)}
    row["memory_free_bytes"] = room.free.get(board.name)
    if hosted and board.runtime == SERIAL:
        from edgebll_firmware_host.commands.microcontroller_tables import board_sizes

        row |= board_sizes([room.needs.planned()[name] for name in hosted])
    if model.in_seconds:
        row["step_seconds"] = sum(model.step(board.name, block).seconds for block in hosted)
    return row


def _links(bundle: Bundle, placed: Placement) -> list[dict[str, Any]]:
    """Every stream that leaves a machine, with its bytes a training step."""
    links = []
    for edge in bundle.manifest.edges:
        source = edge.source if edge.source == HOST else placed.board_of(edge.source)
        target = placed.board_of(edge.target)
        if source != target:
            row = {"from": source, "to": target, "block": edge.target, "tensors": list(edge.tensors)}
            links.append({**row, "bytes_per_step": _carried_bytes(bundle, edge)})
    return links


def _carried_bytes(bundle: Bundle, edge: EdgeSpec) -> int:
    """Bytes of one token."""
    blocks, target = bundle.manifest.blocks, bundle.manifest.block(edge.target)
    if is_chain(edge):
        return chain_bytes(blocks[blocks.index(target) :])
    names = {received_name(edge.source, name) for name in edge.tensors}
    return sum(tensor.size_bytes for tensor in target.received if tensor.name in names)


def _print_plan(result: dict[str, Any]) -> None:
    from edgebll_firmware_host.commands.microcontroller_tables import print_blocks, print_boards
    from edgebll_firmware_host.commands.plan_prediction import idle_line, print_prediction

    columns = ["board", "blocks", "memory, about, MiB", "free, MiB", "busy, %"]
    rows = []
    for row in result["placement"]:
        if not row["blocks"]:
            continue
        cells = [row["board"], " ".join(row["blocks"]), _mib(row["memory_bytes"], 1)]
        cells.append("" if row["memory_free_bytes"] is None else _mib(row["memory_free_bytes"], 0))
        cells.append(f"{100 * result['busy'][row['board']]:.0f}")
        rows.append([*cells, *([f"{1e3 * row['step_seconds']:.1f}"] if "samples_per_second" in result else [])])
    if "samples_per_second" in result:
        columns.append("step, ms")
    print_table(columns, rows, right=columns[2:])
    if idle := [row["board"] for row in result["placement"] if not row["blocks"]]:
        typer.echo(idle_line(idle))
    print_boards(result["placement"])
    if "blocks" in result:
        print_blocks(result["blocks"])
    cells = [
        [r["from"], r["to"], r["block"], ", ".join(r["tensors"]), f"{r['bytes_per_step'] / 2**10:.1f}"] for r in result["links"]
    ]
    print_table(("from", "to", "block", "tensors", "KiB per step"), cells, right=("KiB per step",))
    print_prediction(result, result.get("as_boards_are"))


def _mib(count: int, digits: int) -> str:
    """Bytes in MiB; those of a microcontroller to three digits."""
    return f"{count / 2**20:.{3 if 0 < count < 1 << 20 else digits}f}"
