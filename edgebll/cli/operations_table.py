"""The table of `edgebll eval --operations`: what each block of a network takes for a sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer

from edgebll.cli.output import print_table

_COLUMNS = ("block", "bytes", "zero weights %", "silent %", "dense", "MACs", "ACs", "energy, nJ")


def print_operations(found: Mapping[str, Any]) -> None:
    """Print a table, and what its figures are."""
    rows = [_row(each["block"], each) for each in found["blocks"]]
    print_table(_COLUMNS, [*rows, _row("all", found["network"])], right=_COLUMNS[1:])
    low, high = found["network"]["dense_energy_nj"]
    typer.echo(
        f"Operations of a sample, the mean over {found['samples']}, as NeuroBench counts them. Energy is estimated, not "
        f"measured: {found['assumptions']}; all products as MACs would be {low:,.3g} to {high:,.3g} nJ."
    )
    if found["not_counted"]:
        typer.echo(f"Not counted: products in {', '.join(found['not_counted'])}.")


def _row(name: str, each: Mapping[str, Any]) -> list[str]:
    low, high = each["energy_nj"]
    operations = [f"{each[key]:,.0f}" for key in ("dense", "effective_macs", "effective_acs")]
    sparsity = [_percent(each[key]) for key in ("connection_sparsity", "activation_sparsity")]
    return [name, f"{each['footprint_bytes']:,}", *sparsity, *operations, f"{low:,.3g} to {high:,.3g}"]


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.1f}"
