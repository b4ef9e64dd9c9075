"""`edgebll export` and `edgebll verify`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.cli.data_options import DataDirOption
from edgebll.cli.dataset_examples import training_samples
from edgebll.cli.machine_facts import import_torch
from edgebll.cli.output import JsonOption, print_json, print_table, say
from edgebll.kernel.bundle import check_bundle_place, open_bundle
from edgebll.kernel.errors import ConfigError, VerifyError
from edgebll.kernel.support.optional_imports import import_extra

if TYPE_CHECKING:
    from edgebll.kernel.spec.manifest import Manifest


def export(
    run: Annotated[Path, typer.Argument(help="Run folder of `edgebll train`.")],
    out: Annotated[Path, typer.Option(help="The bundle folder to write; an earlier bundle there is replaced.")],
    state: Annotated[str, typer.Option(help="Weights boards start from: trained or initial.")] = "trained",
    batch_size: Annotated[int | None, typer.Option(help="Samples of a training step. [default: the run's]")] = None,
    target: Annotated[
        str, typer.Option(help="What runs the graphs: onnx, tensorrt-8.5, tensorrt-8.6, tensorrt-10 or tensorrt-11.")
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
        str | None, typer.Option(help="Numbers to compute in: float32, mixed or bfloat16. [default: the run's]")
    ] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Export every block of a trained network: forward pass, feedback head and training step as ONNX graphs.

    Golden vectors are drawn from the data set of the run if it is here, else from N(0, 1).
    """
    if state not in ("trained", "initial"):
        raise ConfigError(f"--state must be trained or initial, not {state!r}")
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"--batch-size must be at least 1, not {batch_size}")
    need_export("exporting")
    from edgebll.learning import PRECISIONS
    from edgebll.learning.training import load_run
    from edgebll_export import export_run, make_target

    chosen = make_target(target, opset, threads)
    trained = load_run(run)
    if precision is not None and precision not in PRECISIONS:
        raise ConfigError(f"--precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    chosen.suited(precision or trained.precision)
    check_bundle_place(out)
    say(f"edgebll: exporting {run}; this takes some seconds a block")
    examples = training_samples(trained.data, trained.steps[0].spec.input, data_dir)
    manifest = export_run(
        trained, out, state=state, batch_size=batch_size, target=chosen, precision=precision, examples=examples
    )
    if json:
        numbers = {"batch_size": manifest.batch_size, "target": manifest.target, "precision": manifest.precision}
        notes = manifest.recipe.get("notes", {})
        print_json({"bundle": str(out), **numbers, "blocks": _block_rows(manifest), "notes": notes})
        return
    rows = [
        (r["name"], r["input"], r["output"], str(r["state_tensors"]), f"{r['state_bytes'] / 1024:.1f}")
        for r in _block_rows(manifest)
    ]
    columns = ("block", "input", "output", "tensors", "state, KiB")
    title = f"{out}: {len(rows)} blocks, batches of {manifest.batch_size}, for {manifest.target} in {manifest.precision}"
    print_table(columns, rows, title=title, right=columns[3:])
    for block, notes in manifest.recipe.get("notes", {}).items():
        for note in notes:
            say(f"edgebll: {block}: {note}")


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


def verify(
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
    if tolerance is not None and not tolerance > 0:
        raise ConfigError(f"--tolerance must be a number above 0, not {tolerance}")
    need_export("verifying a bundle")
    from edgebll_export.bundles.verify import default_tolerance, verify_bundle

    opened = open_bundle(bundle, verify=False)
    tolerance = tolerance or default_tolerance(opened)
    manifest = opened.manifest
    examples = training_samples(manifest.recipe.get("data"), manifest.blocks[0].input, data_dir)
    found = verify_bundle(bundle, steps=steps, tolerance=tolerance, examples=examples)
    rows = sorted(found, key=lambda row: (row.block, row.graph, row.tensor))
    failed = [row for row in rows if row.failed]
    if json:
        result = {
            "bundle": str(bundle),
            "steps": steps,
            "tolerance": tolerance,
            "passed": not failed,
            "outputs": [asdict(r) for r in rows],
        }
        print_json(result)
    else:
        _print_rows(rows, f"{bundle}: largest errors over {steps} steps")
    if failed:
        worst = max(failed, key=lambda row: row.max_rel_error)
        where = f"{worst.tensor} of {worst.block}/{worst.graph}.onnx ({worst.max_rel_error:.2g})"
        raise VerifyError(
            f"{len(failed)} of {len(rows)} outputs differ by more than {tolerance:g}, most of all {where}; "
            "do not use this bundle, export it again"
        )
    say(f"edgebll: all {len(rows)} outputs agree to {tolerance:g}")


def _print_rows(rows: list[Any], title: str) -> None:
    columns = ("block", "graph", "output", "max abs error", "max rel error", "")
    cells = [(r.block, r.graph, r.tensor, f"{r.max_abs_error:.2e}", f"{r.max_rel_error:.2e}", _verdict(r)) for r in rows]
    print_table(columns, cells, title=title, right=columns[3:5])


def _verdict(row: Any) -> str:
    if row.failed:
        return "differs"
    return "ok, within rounding" if row.by_rounding else "ok"


def need_export(purpose: str) -> None:
    """Raise MissingExtraError unless all that exporting needs is installed; `purpose` is the sentence's subject."""
    import_torch("export", purpose)
    for module in ("onnx", "onnxruntime"):
        import_extra(module, "export", purpose)
