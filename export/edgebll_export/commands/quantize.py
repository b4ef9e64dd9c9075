"""`edgebll quantize`: int8 forward graphs for a trained bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.data.token_stream import fitted
from edgebll.kernel.bundle import Bundle, open_bundle
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.bounds import COUNT, spelled_as_options
from edgebll.kernel.support.option_values import parse_options
from edgebll.kernel.support.optional_imports import import_exporter


def quantize(
    bundle: Annotated[Path, typer.Argument(help="A bundle with trained weights.")],
    out: Annotated[Path, typer.Option(help="The bundle to write; an earlier bundle there is replaced.")],
    data: Annotated[
        str | None,
        typer.Option(help="Data set, or path of own data, to calibrate on. [default: the bundle's]", show_default=False),
    ] = None,
    data_option: DataKeyValues = None,
    samples: Annotated[int, typer.Option(help="Training samples to calibrate on.")] = 512,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Add an int8 forward pass with frozen weights to every block: for inference after training, see `edgebll eval --int8`."""
    import_exporter("quantising")
    from edgebll.data.registry import load_dataset, recorded_options
    from edgebll_export.bundles.quantize import quantize_bundle

    with spelled_as_options():
        COUNT.check("samples", samples)
    manifest = open_bundle(bundle, verify=False).manifest
    name = data or manifest.recipe.get("data")
    if not isinstance(name, str):
        raise ConfigError(f"{bundle} does not say which data set it was trained on; give one with --data")
    recorded = manifest.recipe.get("data_options")
    options = recorded_options(data, recorded if isinstance(recorded, dict) else {}, parse_options("data", data_option))
    dataset = fitted(manifest, load_dataset(name, "train", data_dir, samples, options), str(bundle))
    say(f"edgebll: calibrating on {len(dataset)} training samples of {name}")
    rows = np.arange(len(dataset))
    manifest = quantize_bundle(bundle, out, {"x": dataset.inputs(rows), **dataset.side_inputs(rows)}, data=name)
    memory = _memory(open_bundle(out, verify=False)) if manifest.target == "microcontroller" else []
    if json:
        told = {"microcontroller": memory} if memory else {}
        print_json({"bundle": str(out), "blocks": [block.name for block in manifest.blocks], **manifest.recipe["int8"], **told})
        return
    typer.echo(f"{out}: {len(manifest.blocks)} blocks with int8 forward graphs; try `edgebll eval {out} --int8`")
    if memory:
        columns = ("block", "arena, KiB", "flash, KiB")
        cells = [(row["block"], *(f"{row[part] / 1024:.1f}" for part in ("arena_bytes", "flash_bytes"))) for row in memory]
        print_table(columns, cells, title="to predict on a microcontroller", right=columns[1:])


def _memory(bundle: Bundle) -> list[dict[str, Any]]:
    """What the int8 forward pass of each block takes on a microcontroller: RAM while it runs, and its plan."""
    from edgebll.kernel.microcontroller import plan_int8_forward

    plans = [plan_int8_forward(bundle, block.name) for block in bundle.manifest.blocks]
    return [{"block": plan.block, "arena_bytes": plan.arena_bytes, "flash_bytes": plan.plan_bytes} for plan in plans]
