"""`edgebll networks`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.optional_imports import import_torch

if TYPE_CHECKING:
    from edgebll.learning.networks.network_catalogue import NetworkEntry


def networks(
    name: Annotated[str | None, typer.Argument(help="Only this network.", show_default=False)] = None, json: JsonOption = False
) -> None:
    """List the networks: inputs, options, layers, parameters, and how many units each block of a split has.

    Sizes are those at the default options for the task the network is known from. Others go by --network-option and --split
    of `edgebll train`.
    """
    import_torch("train", "listing networks")
    from edgebll.learning.networks.network_catalogue import catalogue

    entries = [entry for entry in catalogue() if name in (None, entry.name)]
    if not entries:
        raise ConfigError(f"unknown network {name!r}; known are {', '.join(entry.name for entry in catalogue())}")
    if json:
        print_json([asdict(entry) for entry in entries])
        return
    columns = ("network", "sample", "layers", "units", "parameters", "options", "4 even blocks", "stages")
    print_table(columns, [_row(entry) for entry in entries], right=("layers", "units", "parameters"))
    for entry in entries:
        typer.echo(f"{entry.name}: {entry.summary}")


def _row(entry: NetworkEntry) -> tuple[str, ...]:
    return (
        entry.name,
        "x".join(map(str, entry.input_shape)),
        str(entry.layers),
        str(entry.units),
        f"{entry.parameters:,}",
        " ".join(f"{name}={value}" for name, value in entry.options.items()),
        ",".join(map(str, entry.even.get(4, ()))),
        ",".join(map(str, entry.stages)) or "-",
    )
