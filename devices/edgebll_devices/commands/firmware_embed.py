"""`edgebll firmware embed` and `library`: blocks as constants, and what trains them, for firmware of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.kernel.errors import ConfigError


def embed(
    bundle: Annotated[Path, typer.Argument(help="A bundle exported with --target microcontroller.")],
    out: Annotated[Path, typer.Option(help="The folder to write into.")],
    block: Annotated[str, typer.Option(help="One block alone. [default: all]", show_default=False)] = "",
    name: Annotated[str, typer.Option(help="Its name in C. [default: the block's]", show_default=False)] = "",
    int8: Annotated[
        bool, typer.Option("--int8", help="The int8 forward pass of `edgebll quantize`, to predict with and not to train.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Write blocks as C constants, plans and initial state, for the library edgebll.h in firmware of your own."""
    from edgebll.kernel.bundle import open_bundle
    from edgebll_devices.microcontroller.block_as_c import block_as_c

    opened = open_bundle(bundle)
    blocks = [block] if block else [each.name for each in opened.manifest.blocks]
    if name and len(blocks) > 1:
        raise ConfigError(f"--name is for one block, and {bundle} has {', '.join(blocks)}; say which with --block")
    made = [block_as_c(opened, each, name or None, int8=int8) for each in blocks]
    rows: list[dict[str, Any]] = []
    for each in made:
        paths = [str(path) for path in each.write(out)]
        sizes = {"flash_bytes": each.constant_bytes, "state_bytes": each.plan.state_bytes, "arena_bytes": each.plan.arena_bytes}
        rows.append({"block": each.plan.block, "name": each.name, "files": paths, **sizes})
    if json:
        print_json(rows)
        return
    columns = ("block", "file", "flash, bytes", "state, bytes", "arena, bytes")
    cells = [(r["block"], r["files"][1], *(str(r[f"{part}_bytes"]) for part in ("flash", "state", "arena"))) for r in rows]
    print_table(columns, cells, right=columns[2:])


def library(
    out: Annotated[Path, typer.Option(help="The folder for libraries, such as lib of PlatformIO or libraries of Arduino.")],
    json: JsonOption = False,
) -> None:
    """Write the C library as the folder edgebll, for PlatformIO, Arduino, Zephyr or CMake; an earlier one is replaced."""
    from edgebll_devices.microcontroller.c_package import write_c_package

    folder = write_c_package(out)
    if json:
        print_json({"path": str(folder)})
    else:
        typer.echo(f"{folder}: edgebll.h is its manual")
