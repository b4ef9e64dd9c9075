"""`edgebll merge`: a trained network as one ONNX model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.data_options import DataDirOption, TrainedArgument
from edgebll.cli.output import JsonOption, print_json
from edgebll.cli.progress import RunProgress
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.optional_imports import import_exporter


def merge(
    context: typer.Context,
    run: TrainedArgument,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write, NAME.onnx; an earlier one is replaced.")],
    batch: Annotated[
        str | None,
        typer.Option(help="Samples it takes at once: a number, or dynamic for any. [default: dynamic]", show_default=False),
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Products in int8, with scales chosen on training samples.")] = False,
    float16: Annotated[bool, typer.Option("--float16", help="Weights and results in float16; input and output stay.")] = False,
    data: Annotated[
        str | None, typer.Option(help="Data set to choose int8 scales on. [default: the run's]", show_default=False)
    ] = None,
    samples: Annotated[int, typer.Option(help="Training samples to choose int8 scales on.")] = 512,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Write a trained network as one ONNX model with its weights inside, for inference anywhere.

    It is compared with the chain of blocks first; where it differs by more than rounding, nothing is written.
    """
    options = {name: value for name, value in context.params.items() if name != "json"}
    import_exporter("merging")
    from edgebll_export.merged.merge import merge as merge_blocks

    with spelled_as_options(), RunProgress("merge") as progress:
        model = merge_blocks(**options, progress=progress)
    if json:
        print_json(model.plain())
        return
    same = "" if model.same_class is None else f", the same class for {100 * model.same_class:.1f} %"
    size = "any batch" if model.batch is None else f"batches of {model.batch}"
    typer.echo(
        f"{model.path}: {model.network} in {model.numbers}, {model.size_bytes / 1024:.1f} KiB, {size}; off the chain of blocks "
        f"by {model.max_rel_error:.1e} on {model.samples} samples{same}"
    )
