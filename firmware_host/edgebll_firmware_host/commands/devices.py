"""`edgebll devices`: which boards of a cluster answer, what they are, and whether a run over them can work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.errors import EdgebllError, LinkError
from edgebll.kernel.spec.plan_versions import INT8_VERSION

if TYPE_CHECKING:
    from edgebll.kernel.wire import Welcome
    from edgebll_firmware_host.inventory import BoardEntry, Cluster

ClusterOption = Annotated[Path, typer.Option(help="The inventory of boards, cluster.toml.")]
CheckOption = Annotated[
    bool, typer.Option("--check", help="Let every board try its links to all others, and show disks, clocks and versions.")
]


def devices(cluster: ClusterOption, check: CheckOption = False, json: JsonOption = False) -> None:
    """Ask every board of a cluster who it is; exit code 7 if one does not answer. One that works for another host is busy.

    With --check every board also sends a message to every other one, as in a run, and each link that does not work is
    named with its cause.
    """
    from edgebll_firmware_host.fleet.probe import probe_all
    from edgebll_firmware_host.inventory import load_cluster

    inventory = load_cluster(cluster)
    if check:
        return _checked(inventory, json=json)
    answers = probe_all(inventory)
    rows = _rows(inventory, answers)
    if json:
        print_json(rows)
    else:
        _print_devices(rows)
    return _end(_failures(answers, rows))


def _checked(inventory: Cluster, *, json: bool) -> None:
    """Ask, and let boards try their links."""
    from edgebll_firmware_host.fleet.preflight_findings import facts, notes, problems
    from edgebll_firmware_host.fleet.probe import check_all

    answers, checked = check_all(inventory)
    rows = _rows(inventory, answers)
    entries = {entry.name: entry for entry in inventory.boards}
    found = facts(checked, entries)
    for row in rows:
        row |= found["boards"].get(row["board"], {})
    wrong = problems(checked, entries)
    if json:
        print_json({"boards": rows, "links": found["links"], "problems": wrong, "notes": notes(checked)})
    else:
        _print_devices(rows)
        _print_state(rows)
        _print_links(found["links"])
        for note in notes(checked):
            say(f"edgebll: note: {note}")
    _end([*_failures(answers, rows), *((sentence, LinkError.exit_code) for sentence in wrong)])


def _failures(answers: Sequence[Welcome | EdgebllError], rows: Sequence[dict[str, Any]]) -> list[tuple[str, int]]:
    """What boards said that do not answer as they should, and the exit code for it."""
    pairs = zip(answers, rows, strict=True)
    return [(str(a), a.exit_code) for a, row in pairs if isinstance(a, EdgebllError) and "problem" in row]


def _end(failures: Sequence[tuple[str, int]]) -> None:
    for sentence, _ in failures:
        say(f"edgebll: {sentence}")
    if failures:
        raise typer.Exit(failures[0][1])


def _rows(inventory: Cluster, answers: Sequence[Welcome | EdgebllError]) -> list[dict[str, Any]]:
    return [_device(entry, answer) for entry, answer in zip(inventory.boards, answers, strict=True)]


def _device(entry: BoardEntry, answer: Welcome | EdgebllError) -> dict[str, Any]:
    """What a board says of itself, or the run it is busy with for another host, or its problem."""
    from edgebll.kernel.wire.busy_reply import run_of

    row: dict[str, Any] = {"board": entry.name, "endpoint": entry.endpoint}
    if isinstance(answer, EdgebllError):
        run = run_of(str(answer))
        return {**row, "problem": str(answer)} if run is None else {**row, "busy": run}
    limits = ("cpus", "memory_limit_bytes", "memory_limited_by", "memory_free_bytes")
    names: tuple[str, ...] = ("version", "cores", "memory_bytes", *limits, "python", "platform", "data_endpoint", "identity")
    names += ("microcontrollers", "microcontroller_profiles", "microcontroller_plans")
    return {**row, **{name: getattr(answer, name) for name in names}, "runtimes": list(answer.runtimes)}


def _memory(limit: int, machine: int) -> str:
    """GiB; a limit that a board is under beside what its machine has."""
    whole = f"{machine / 2**30:.1f}"
    return f"{limit / 2**30:.2g} of {whole}" if limit else whole


def _cores(cpus: float, cores: int) -> str:
    """Usable processors; the time a board may have of them beside them, where that is less."""
    return f"{cpus:.2g} of {cores}" if 0 < cpus < cores else str(cores)


def _print_devices(rows: list[dict[str, Any]]) -> None:
    columns = ("board", "endpoint", "edgebll", "cores", "memory, GiB", "python", "machine", "runtimes")
    cells: list[tuple[str, ...]] = []
    for row in rows:
        if "runtimes" not in row:
            what, why = ("busy", f"in the run {row['busy']}") if "busy" in row else ("problem", "")
            cells.append((row["board"], row["endpoint"], what, "", "", "", "", why))
            continue
        memory = _memory(row["memory_limit_bytes"] if row["memory_limited_by"] else 0, row["memory_bytes"])
        fixed = (
            row["board"],
            row["endpoint"],
            row["version"],
            _cores(row["cpus"], row["cores"]),
            memory,
            row["python"],
            row["platform"],
        )
        cells.append((*fixed, " ".join(row["runtimes"])))
        cells += [_microcontroller(port, size, row) for port, size in row["microcontrollers"].items()]
    print_table(
        columns, cells, title=f"{len(rows)} boards" if len(rows) > 1 else "1 board", styles={"problem": "red", "busy": "yellow"}
    )


def _microcontroller(port: str, size: int, row: Mapping[str, Any]) -> tuple[str, ...]:
    """The row of a microcontroller below that of the board it is plugged into."""
    profile = row["microcontroller_profiles"].get(port, "exact").partition(" ")[0]
    int8 = ", int8" if row["microcontroller_plans"].get(port, 0) >= INT8_VERSION else ""
    what = f"serial, {profile}{int8}, {size / 1024:.0f} KiB for blocks" if size else "serial, no answer"
    return ("", port, *([""] * 5), what)


def _print_state(rows: list[dict[str, Any]]) -> None:
    """What changes from day to day."""
    cells = []
    for row in rows:
        if "versions" not in row:
            continue
        free = row["memory_free_bytes"]
        left = (f"{free / 2**30:.1f}" if free else "", f"{row['disk_bytes'] / 2**30:.1f}")
        usual = (f"{row['clock_skew_seconds']:+.1f}", f"{row['load']:.1f}", str(row["threads"]))
        cells.append((row["board"], *left, *usual, " ".join(f"{name} {what}" for name, what in row["versions"].items())))
    columns = ("board", "memory free, GiB", "disk free, GiB", "clock, s", "load", "threads", "versions")
    print_table(columns, cells, right=columns[1:-1])


def _print_links(links: list[dict[str, Any]]) -> None:
    cells = []
    for row in links:
        where = (row["from"], row["to"], row["endpoint"])
        if "problem" in row:
            cells.append((*where, "", "", "problem"))
            continue
        rate = row["bytes_per_second"]
        cells.append((*where, f"{1e3 * row['round_trip_seconds']:.2f}", f"{rate / 2**20:.1f}" if rate else "", ""))
    columns = ("from", "to", "at", "round trip, ms", "MiB/s", "")
    print_table(columns, cells, right=columns[3:5], styles={"problem": "red"})
