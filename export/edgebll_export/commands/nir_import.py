"""`edgebll nir import`: somebody else's network becomes blocks that learn here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgebll.cli.data_options import DataDirOption, DataKeyValues
from edgebll.cli.output import JsonOption, print_json
from edgebll.cli.progress import RunProgress
from edgebll.kernel.support.bounds import spelled_as_options
from edgebll.kernel.support.option_values import parse_options
from edgebll.kernel.support.optional_imports import import_exporter
from edgebll_export.commands.nir_options import (
    BatchSizeOption,
    DtOption,
    GraphArgument,
    LrOption,
    OptimizerKeyValues,
    OptimizerOption,
    PrecisionOption,
    RuleKeyValues,
    RuleOption,
    SplitOption,
)


def import_net(
    net: GraphArgument,
    out: Annotated[Path, typer.Option(help="The bundle folder to write; an earlier bundle there is replaced.")],
    blocks: Annotated[
        int | None, typer.Option(help="Cut it into so many blocks. [default: 4, or as many as it has]", show_default=False)
    ] = None,
    split: SplitOption = "even",
    dt: DtOption = None,
    steps: Annotated[int, typer.Option(help="Time steps of a sample, where no data say it.")] = 100,
    data: Annotated[
        str | None, typer.Option(help="Data set that it will be trained on. [default: none is noted]", show_default=False)
    ] = None,
    data_option: DataKeyValues = None,
    rule: RuleOption = "bll",
    rule_option: RuleKeyValues = None,
    optimizer: OptimizerOption = "sgd",
    optimizer_option: OptimizerKeyValues = None,
    lr: LrOption = None,
    batch_size: BatchSizeOption = 64,
    precision: PrecisionOption = "float32",
    target: Annotated[
        str, typer.Option(help="What runs the graphs: onnx, tensorrt-8.5, -8.6, -10 or -11, or microcontroller.")
    ] = "onnx",
    opset: Annotated[int | None, typer.Option(help="Opset of the target onnx, at least 17. [default: 17]")] = None,
    surrogate: Annotated[
        str, typer.Option(help="Gradient of spikes: fast_sigmoid, superspike, arctan or triangular.")
    ] = "fast_sigmoid",
    slope: Annotated[float, typer.Option(help="Of the surrogate gradient; 0 for its usual one.")] = 0.0,
    data_dir: DataDirOption = None,
    json: JsonOption = False,
) -> None:
    """Turn a NIR graph into a bundle whose blocks learn, beginning with its weights.

    It is cut behind neurons; cycles stay inside a block. The class of a sample is that of the output that fires most.
    """
    import_exporter("importing a NIR graph")
    from edgebll_export.nir.network.import_graph import import_graph

    parsed = {
        "data_option": parse_options("data", data_option),
        "rule_option": parse_options("rule", rule_option),
        "optimizer_option": parse_options("optimizer", optimizer_option),
    }
    with spelled_as_options(), RunProgress("import") as progress:
        bundle = import_graph(
            net,
            out,
            blocks=blocks,
            split=split,
            dt=dt,
            steps=steps,
            data=data,
            rule=rule,
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            precision=precision,
            target=target,
            opset=opset,
            surrogate=surrogate,
            slope=slope,
            data_dir=data_dir,
            progress=progress,
            **parsed,
        )
    rows = [
        {"name": block.name, "input": list(block.input.shape[1:]), "output": list(block.output.shape[1:])}
        for block in bundle.manifest.blocks
    ]
    if json:
        print_json({"bundle": str(out), "graph": str(net), "blocks": rows})
        return
    told = ", ".join(f"{row['name']} {'x'.join(map(str, row['output']))}" for row in rows)
    typer.echo(f"{out}: {net} in {len(rows)} blocks ({told}); try `edgebll verify {out}`")
