"""`edgebll simulate --virtual`: what a run over boards would do, told in seconds of this machine."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from edgebll.cli.output import print_json, print_table, say
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.runs.listener import Listener
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.option_values import given_options
from edgebll_firmware_host.run.run_spec import SimulateSpec
from edgebll_firmware_host.simulation.virtual_entry import simulate_virtually
from edgebll_firmware_host.simulation.virtual_launch import VirtualSpec

_PANEL = "Virtual time"


def _option(text: str, *names: str) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=_PANEL, show_default=False)


VirtualOption = Annotated[bool, _option("Predict the run in virtual time: nothing is computed but times.", "--virtual")]
VirtualClusterOption = Annotated[
    Path | None, _option("The inventory whose boards and links are taken, cluster.toml.", "--cluster")
]
ProfileOption = Annotated[str | None, _option("Kind of the boards of --boards, e.g. orin-nano; else such as this machine.")]
PowerModeOption = Annotated[str | None, _option("Power mode of that kind. [default: its fastest]")]
LinkOption = Annotated[
    str | None, _option("Links of which the inventory tells nothing: ethernet, fast-ethernet, wifi, loopback, or 5Mbit/20ms.")
]
StepsOption = Annotated[int | None, _option("Training steps, without an evaluation. [default: those of the data]")]
FailOption = Annotated[
    list[str] | None, _option("A board fails: BOARD@TIME, BOARD@TIME+DURATION to come back, kill:BOARD@TIME for its process.")
]
JoinOption = Annotated[list[str] | None, _option("A board is added: BOARD@TIME.")]
DrainOption = Annotated[list[str] | None, _option("A board is drained: BOARD@TIME.")]
MeanLifeOption = Annotated[str | None, _option("Boards fail by chance, after so long in the mean, e.g. 200h.")]
LifeShapeOption = Annotated[float | None, _option("Shape of the Weibull distribution of lives. [default: 1, any age alike]")]
RepairOption = Annotated[str | None, _option("How long until such a board is back, e.g. 5min. [default: for good]")]
SeedsOption = Annotated[int | None, _option("Run with so many seeds, and tell how the figures differ.")]

#: Options of `simulate` that are of runs in virtual time alone, and how `VirtualSpec` calls them.
OF_VIRTUAL = (
    "cluster",
    "board_profile",
    "power_mode",
    "link",
    "steps",
    "fail",
    "join",
    "drain",
    "mean_life",
    "life_shape",
    "repair",
)
#: Options that say nothing of times.
_WITHOUT_MEANING = (
    *("microcontrollers", "emulate", "lr", "schedule", "warmup_steps", "augment", "sampling"),
    *("cap_threads", "memory_check", "keep_snapshots", "resume"),
)
_MOST_ROWS = 20


class _Said(Listener):
    def noted(self, text: str) -> None:
        """Say it on stderr."""
        say(f"edgebll: {text}")


def take_virtual_options(context: typer.Context) -> bool:
    """Whether this is a run in virtual time; if not, what is of those alone is taken out of the options.

    Args:
        context: of the command.

    Raises:
        ConfigError: options do not go together.
    """
    virtual = context.params.pop("virtual")
    given = [name for name in context.params if _given(context, name)]
    wrong = [name for name in given if name in (_WITHOUT_MEANING if virtual else (*OF_VIRTUAL, "seeds"))]
    if wrong:
        option = f"--{wrong[0].replace('_', '-')}"
        advice = (
            "says nothing of times; leave it out" if virtual else "is of runs in virtual time; add --virtual or leave it out"
        )
        raise ConfigError(f"{option} {advice}")
    if not virtual:
        for name in (*OF_VIRTUAL, "seeds"):
            context.params.pop(name)
    return bool(virtual)


def _given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")


def execute_virtually(context: typer.Context) -> None:
    """Run the command in virtual time and print what came of it.

    Args:
        context: of the command, with all its options.

    Raises:
        ConfigError: no bundle is given, or an option is wrong.
    """
    options = dict(context.params)
    if options["bundle"] is None:
        raise ConfigError(f"give the bundle to predict; see `{context.command_path} --help`")
    if options["cluster"] is not None:
        _check_inventory_alone(context)
    given = {name: options[name] for name in OF_VIRTUAL if options[name] is not None}
    listed: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    if "cluster" in listed:
        listed["cluster"] = str(listed["cluster"])
    with spelled_as_options():
        spec = VirtualSpec(run=_run_spec(options), **listed)
        seeds = 1 if options["seeds"] is None else options["seeds"]
        summary = simulate_virtually(spec, options["out"], _Said(), seeds=seeds, overwrite=options["overwrite"])
    if options["json"]:
        print_json(summary if options["out"] is None else {"path": str(options["out"]), **summary})
    else:
        _print(summary, options["out"])


def _check_inventory_alone(context: typer.Context) -> None:
    """Refuse options that say what an inventory says."""
    told = [name for name in ("boards", "deadline", "patience", "threads", "runtime") if _given(context, name)]
    if told:
        raise ConfigError(f"--{told[0]} is for boards without an inventory; write it into the inventory, or leave it out")


def _run_spec(options: dict[str, Any]) -> SimulateSpec:
    known = {field.name for field in fields(SimulateSpec)}
    values = {name: value for name, value in options.items() if name in known and value is not None}
    values |= {"bundle": str(options["bundle"]), "data_options": given_options("data", options["data_option"])}
    if options["data_dir"] is not None:
        values["data_dir"] = str(options["data_dir"])
    return SimulateSpec(**values)


def _print(summary: dict[str, Any], out: Path | None) -> None:
    columns = ("board", "blocks", "busy", "joules, estimated", "times from")
    used = [board for board in summary["boards"] if board["blocks"] or board["busy"] > 0]
    rows = [
        (
            board["board"],
            " ".join(board["blocks"]) or "none at the end",
            f"{100 * board['busy']:.0f} %",
            "" if board["joules"] is None else f"{board['joules']:.0f}",
            board["basis"],
        )
        for board in used[:_MOST_ROWS]
    ]
    print_table(columns, rows, right=("busy", "joules, estimated"))
    if len(used) > _MOST_ROWS:
        typer.echo(f"and {len(used) - _MOST_ROWS} more boards with blocks")
    if idle := len(summary["boards"]) - len(used):
        typer.echo(f"{idle} board{'s' if idle > 1 else ''} without blocks")
    for line in _sentences(summary):
        typer.echo(line)
    if out is not None:
        typer.echo(f"{out}: timeline and summary")


def _sentences(summary: dict[str, Any]) -> list[str]:
    energy = summary["joules_per_sample"]
    told = "" if energy is None else f", {energy:.3g} J a sample"
    rate = f"{summary['samples_per_second']:.1f} samples/s"
    found = [f"estimated: {summary['steps']} steps in {summary['seconds']:.1f} s ({rate}{told})"]
    if summary["recoveries"]:
        found.append(
            f"{summary['recoveries']} failure{'s' if summary['recoveries'] > 1 else ''}: "
            f"{summary['seconds_recovering']:.1f} s to restore and replay, "
            f"{summary['steps_again']} steps computed again"
        )
    if summary["status"] != "complete":
        found.append(f"given up after {summary['seconds']:.0f} s: {summary['reason']}")
    for name, spread in summary.get("seeds", {}).items():
        words = name.replace("_", " ")
        found.append(
            f"over seeds, {words}: {spread['mean']:.4g} +- {spread['confidence']:.3g} (95 %), "
            f"{spread['least']:.4g} to {spread['most']:.4g}"
        )
    return found
