"""The options of `edgebll reproduce`, as its help shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TableOption = Annotated[
    str | None, typer.Argument(help="A table's name, or a recipe of your own as FILE.toml.", show_default=False)
]
ScaleOption = Annotated[
    str,
    typer.Option(
        help="full: as the paper has it; medium: all samples, narrower networks, hours on two processor cores; small: minutes."
    ),
]
SeedsOption = Annotated[int | None, typer.Option(help="Seeds of every run. [default: the recipe's]", show_default=False)]
OutOption = Annotated[Path, typer.Option(help="Folder for RESULTS.md, results.json and the runs.")]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(metavar="RULE", help="Only this rule, besides the baseline; repeatable.", show_default=False),
]
MinutesOption = Annotated[
    float | None,
    typer.Option(help="Stop after so long; the same command goes on from there. [default: no limit]", show_default=False),
]
ParallelOption = Annotated[
    int | None,
    typer.Option(
        "--parallel",
        "-j",
        help="Trainings at once, each in a process. [default: one a core on processors, but one at full scale and on a GPU]",
        show_default=False,
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda (a GPU) or auto. [default: at full scale a GPU where there is one, else the cpu]",
        show_default=False,
    ),
]
CompileOption = Annotated[
    bool | None,
    typer.Option("--compile/--no-compile", help="Compile the steps. [default: on a GPU]", show_default=False),
]
ShowListOption = Annotated[
    bool, typer.Option("--list", help="List the tables, or the runs of TABLE: how far they are, and how long they take.")
]
MeasureOption = Annotated[
    bool,
    typer.Option("--measure", help="List the runs of TABLE with the minutes each will take, by timing a few steps of it here."),
]
ShowRunsOption = Annotated[bool, typer.Option("--list", help="List the runs of the recipe and how far they are.")]
