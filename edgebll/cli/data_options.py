"""Arguments and options of all commands that read trained networks or data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TrainedArgument = Annotated[Path, typer.Argument(metavar="RUN_OR_BUNDLE", help="A run folder or a bundle.")]
TrainedDataOption = Annotated[
    str | None,
    typer.Option("--data", help="Data set, or path of own data. [default: what the run was trained on]", show_default=False),
]
DataKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of own data, e.g. size=64; repeatable.")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(help="Folder with the data set's files. [default: EDGEBLL_DATA, the user's and the system's data folders]"),
]
