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
        "step a line; a data set, of which test samples are taken; or random spikes.",
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
