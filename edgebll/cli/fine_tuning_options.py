"""The options that say what of a network is trained, as the help of several commands shows them."""

from __future__ import annotations

from typing import Annotated

import typer

FreezeOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN",
        help="Do not train these parameters or modules, e.g. 'block0.*': they are constants of the graphs; repeatable.",
    ),
]
LrForOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATTERN=FACTOR", help="Learning rate of these parameters, as a factor of --lr, e.g. '*.bias=2'; repeatable."
    ),
]
DecayForOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN=NUMBER", help="Weight decay of these parameters, e.g. '*.bias=0'; repeatable."),
]
AdapterOption = Annotated[
    str,
    typer.Option(
        help="none, or lora: weights are frozen, and layers have low-rank corrections that are trained, which `edgebll export "
        "--merge` adds to them."
    ),
]
RankOption = Annotated[int, typer.Option(help="Rank of an adapter's corrections.")]
AlphaOption = Annotated[
    float | None, typer.Option(help="They are multiplied by alpha / rank. [default: the rank]", show_default=False)
]
AdaptOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Layers with an adapter; repeatable. [default: all linear layers and convolutions]"),
]
TrainableOption = Annotated[
    str, typer.Option("--train", help="What is trained of the rest: all, or head (the last layer with parameters).")
]
MergeOption = Annotated[
    bool,
    typer.Option("--merge", help="Add the run's adapters to its weights, and let boards train the plain network."),
]
