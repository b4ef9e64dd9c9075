"""`edgebll eval`: what the task of a run or a bundle counts."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues, TrainedArgument, TrainedDataOption
from edgebll.cli.operations_table import print_operations
from edgebll.cli.output import JsonOption, print_json, with_source
from edgebll.cli.progress import RunProgress
from edgebll.data import evaluation
from edgebll.kernel.runs.metric_text import metric_text
from edgebll.kernel.support.bounds import spelled_as_options


def evaluate(
    context: typer.Context,
    path: TrainedArgument,
    data: TrainedDataOption = None,
    data_option: DataKeyValues = None,
    split: Annotated[str, typer.Option(help="test or train.")] = "test",
    limit: Annotated[int | None, typer.Option(help="Use at most so many samples.")] = None,
    runtime: Annotated[str, typer.Option(help="Runtime for bundles, e.g. onnxruntime, tensorrt or reference.")] = "onnxruntime",
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Use the int8 forward graphs of `edgebll quantize`, on onnxruntime, ordered or serial."),
    ] = False,
    operations: Annotated[
        bool,
        typer.Option("--operations", help="Also count synaptic operations and sparsity by block, as NeuroBench does."),
    ] = False,
    threads: Annotated[int | None, typer.Option(help="Threads. [default: the usable cores]", show_default=False)] = None,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Evaluate a trained network: a run of `edgebll train` with PyTorch, a pipelined run or a bundle with its graphs."""
    options = {name: value for name, value in context.params.items() if name != "json"}
    with spelled_as_options(), RunProgress("evaluation") as progress:
        result = evaluation.evaluate(**options, progress=progress)
    if json:
        print_json(result.summary)
        return
    found = result.summary
    typer.echo(
        f"{path}: {metric_text(found['metrics'])} on {found['count']} {split} samples of "
        f"{with_source(found['data'], found['data_source'])}"
    )
    if operations:
        print_operations(found["operations"])
