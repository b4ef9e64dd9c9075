"""Options of all commands that read data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataKeyValues = Annotated[
    list[str] | None, typer.Option(metavar="KEY=VALUE", help="An option of own data, e.g. size=64; repeatable.")
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(help="Folder with the data set's files. [default: EDGEBLL_DATA, the user's and the system's data folders]"),
]
