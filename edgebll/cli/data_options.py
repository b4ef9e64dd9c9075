"""Options of all commands that read data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirOption = Annotated[
    Path | None,
    typer.Option(help="Folder with the data set's files. [default: EDGEBLL_DATA, the user's and the system's data folders]"),
]
