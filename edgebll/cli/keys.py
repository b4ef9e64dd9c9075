"""`edgebll keys`: the key pairs that let host and boards know each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make keys for links between machines.", no_args_is_help=True)


@app.callback()
def root() -> None:
    """Make keys for links between machines."""


@app.command()
def new(path: Annotated[Path, typer.Argument(help="File to write, with mode 0600; never overwritten.")]) -> None:
    """Make a key pair, write it to PATH and print its public key, which the other side needs."""
    from edgebll.keys import new_key_pair

    typer.echo(new_key_pair(path).public)


@app.command()
def show(path: Annotated[Path, typer.Argument(help="A key file.")]) -> None:
    """Print the public key of a key file."""
    from edgebll.keys import load_key_pair

    typer.echo(load_key_pair(path).public)
