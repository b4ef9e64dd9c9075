"""Arguments and options of the commands of `edgebll nir`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

GraphArgument = Annotated[Path, typer.Argument(metavar="NET.nir", help="A NIR graph, as `nir.write` writes it.")]
DtOption = Annotated[
    float | None,
    typer.Option(help="Time step in seconds. [default: what the graph's metadata note]", show_default=False),
]
SpikesOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="What goes in: a file .npy (T, ...) or (B, T, ...), .npz with such an array x and labels y, or .csv with a time "
        "step a line; a .nir file of NIRData; a data set, of which test samples are taken; or random spikes.",
    ),
]
SamplesOption = Annotated[
    int | None,
    typer.Option(help="At most so many samples. [default: all of a file, 16 of a data set, 1 random]", show_default=False),
]
StepsOption = Annotated[
    int | None,
    typer.Option(
        help="Time steps. [default: all there are; 100 of random spikes and of samples without time]", show_default=False
    ),
]
RateOption = Annotated[float, typer.Option(help="Of random spikes: how many a neuron and time step.")]
SeedOption = Annotated[int, typer.Option(help="Of random spikes.")]
ColumnsOption = Annotated[
    int | None, typer.Option(help="Of a .csv file, its first so many columns. [default: all]", show_default=False)
]

#: Of networks that are to learn: what `edgebll train` calls the same.
SplitOption = Annotated[
    str, typer.Option(help="Where it is cut: even (layers), auto (multiply-adds), memory, or units of each block, e.g. 1,2.")
]
RuleOption = Annotated[str, typer.Option(help="How blocks learn; `edgebll rules` lists the rules.")]
RuleKeyValues = Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of the rule, e.g. match=2; repeatable.")]
OptimizerOption = Annotated[str, typer.Option(help="Optimizer of every block: sgd, adam, adamw, or your own.")]
OptimizerKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of the optimizer, e.g. clip_norm=1; repeatable.")
]
LrOption = Annotated[float | None, typer.Option(help="Peak learning rate. [default: the optimizer's]", show_default=False)]
BatchSizeOption = Annotated[int, typer.Option(help="Samples of a training step.")]
PrecisionOption = Annotated[str, typer.Option(help="Numbers to compute in: float32, mixed or bfloat16.")]
