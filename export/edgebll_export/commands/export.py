"""`edgebll export` and `edgebll verify`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.data_options import DataDirOption
from edgebll.cli.fine_tuning_options import (
    AdapterOption,
    AdaptOption,
    AlphaOption,
    DecayForOption,
    FreezeOption,
    LrForOption,
    MergeOption,
    RankOption,
    TrainableOption,
)
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.cli.progress import RunProgress
from edgebll.cli.size_columns import size_columns
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.optional_imports import import_exporter

if TYPE_CHECKING:
    from edgebll.kernel.bundle import Bundle
    from edgebll.kernel.spec.manifest import Manifest
    from edgebll_export.bundles.block_check import VerifyRow

_MICROCONTROLLER = "microcontroller"


def export(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(help="Run folder of `edgebll train`.")],
    out: Annotated[Path, typer.Option(help="The bundle folder to write; an earlier bundle there is replaced.")],
    state: Annotated[str, typer.Option(help="Weights boards start from: trained or initial.")] = "trained",
    batch_size: Annotated[int | None, typer.Option(help="Samples of a training step. [default: the run's]")] = None,
    target: Annotated[
        str, typer.Option(help="What runs the graphs: onnx, tensorrt-8.5, -8.6, -10 or -11, or microcontroller.")
    ] = "onnx",
    opset: Annotated[int | None, typer.Option(help="Opset of the target onnx, at least 17. [default: 17]")] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of a processor that compute a block, for the target onnx: with 1, large updates run faster. "
            "[default: not known]",
            show_default=False,
        ),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Numbers to compute in: float32, mixed, bfloat16 or int8. [default: the run's]")
    ] = None,
    ram: Annotated[
        str | None,
        typer.Option(help="RAM that each block must fit into, for the target microcontroller, e.g. 128k. [default: any]"),
    ] = None,
    flash: Annotated[
        str | None,
        typer.Option(help="Flash that plans and state of each block must fit into, for that target. [default: any]"),
    ] = None,
    recompute: Annotated[
        str | None,
        typer.Option(
            help="For that target, activations that are computed again in the place of being kept: auto for as few as fit into "
            "--ram, none, or all that save memory. [default: auto, which is all without --ram]",
            show_default=False,
        ),
    ] = None,
    state_bits: Annotated[
        int | None,
        typer.Option(
            help="Bits of weights and moments: 16 or 8 for steps that round them to multiples of a unit a row, which a "
            "microcontroller keeps as integers; 32 for float32. [default: the run's]",
            show_default=False,
        ),
    ] = None,
    freeze: FreezeOption = None,
    trainable: TrainableOption = "all",
    lr_for: LrForOption = None,
    decay_for: DecayForOption = None,
    adapter: AdapterOption = "none",
    rank: RankOption = 4,
    alpha: AlphaOption = None,
    adapt: AdaptOption = None,
    merge: MergeOption = False,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Export every block of a trained network: forward pass, feedback head and training step as ONNX graphs.

    Golden vectors are drawn from the data set of the run if it is here, else from N(0, 1).
    """
    options = {name: value for name, value in context.params.items() if name != "json"}
    import_exporter("exporting")
    from edgebll_export.bundles.export_trained import export as export_trained

    with spelled_as_options(), RunProgress("export") as progress:
        bundle = export_trained(**options, progress=progress)
    manifest, rows = bundle.manifest, _block_rows(bundle.manifest)
    if manifest.target == _MICROCONTROLLER:
        _add_memory(rows, bundle)
    if json:
        numbers = {"batch_size": manifest.batch_size, "target": manifest.target, "precision": manifest.precision}
        notes = manifest.recipe.get("notes", {})
        print_json({"bundle": str(out), **numbers, "blocks": rows, "notes": notes})
        return
    sizes = [size_columns(row) for row in rows]
    columns = ("block", "input", "output", "tensors", *sizes[0])
    cells = [
        (r["name"], r["input"], r["output"], str(r["state_tensors"]), *told.values())
        for r, told in zip(rows, sizes, strict=True)
    ]
    title = f"{out}: {len(rows)} blocks, batches of {manifest.batch_size}, for {manifest.target} in {manifest.precision}"
    print_table(columns, cells, title=title, right=columns[3:])


def _block_rows(manifest: Manifest) -> list[dict[str, Any]]:
    return [
        {
            "name": block.name,
            "input": "x".join(map(str, block.input.shape[1:])),
            "output": "x".join(map(str, block.output.shape[1:])),
            "state_tensors": len(block.state),
            "state_bytes": block.state_bytes,
        }
        for block in manifest.blocks
    ]


def _add_memory(rows: Sequence[dict[str, Any]], bundle: Bundle) -> None:
    """What each block takes of a microcontroller, and of its RAM with the firmware."""
    from edgebll.kernel.microcontroller.block_memory import block_memories

    for row, memory in zip(rows, block_memories(bundle), strict=True):
        row |= {name: size for name, size in memory.sizes().items() if name != "state_bytes" or size < row[name]}


def verify(
    context: typer.Context,
    bundle: Annotated[Path, typer.Argument(help="Bundle folder.")],
    steps: Annotated[int, typer.Option(help="Consecutive training steps to compare.")] = 5,
    tolerance: Annotated[
        float | None, typer.Option(help="Largest relative error of any output. [default: 1e-4, 5e-3 in mixed precision]")
    ] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Compare every graph on ONNX Runtime with PyTorch over consecutive training steps.

    Inputs are samples of the data set that the network was trained on if it is here, else those of the golden vectors, else
    drawn from N(0, 1).
    """
    options = {name: value for name, value in context.params.items() if name != "json"}
    import_exporter("verifying a bundle")
    from edgebll_export.bundles.verify_report import compare

    with spelled_as_options(), RunProgress("verification") as progress:
        report = compare(**options, progress=progress)
    if json:
        shown = {"bundle": str(bundle), "steps": steps, "tolerance": report.tolerance, "passed": not report.failed}
        print_json({**shown, "outputs": [asdict(row) for row in report.rows]})
    else:
        _print_rows(report.rows, f"{bundle}: largest errors over {steps} steps")
    report.check()
    say(f"edgebll: all {len(report.rows)} outputs agree to {report.tolerance:g}")


def _print_rows(rows: Sequence[VerifyRow], title: str) -> None:
    columns = ("block", "graph", "output", "max abs error", "max rel error", "")
    cells = [(r.block, r.graph, r.tensor, f"{r.max_abs_error:.2e}", f"{r.max_rel_error:.2e}", _verdict(r)) for r in rows]
    print_table(columns, cells, title=title, right=columns[3:5])


def _verdict(row: VerifyRow) -> str:
    if row.failed:
        return "differs"
    return "ok, within rounding" if row.by_rounding else "ok"
