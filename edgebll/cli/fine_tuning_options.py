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
TrainableOption = Annotated[
    str, typer.Option("--train", help="What is trained of the rest: all, or head (the last layer with parameters).")
]
