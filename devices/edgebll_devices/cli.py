"""The `edgebll-board` command."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from edgebll import __version__
from edgebll.errors import EdgebllError
from edgebll_devices import pair_command, profile_command, serve_command, verify_command

app = typer.Typer(
    help="Serve the blocks of a network on this board.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"edgebll-board {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Serve the blocks of a network on this board."""


serve_command.register(app)
profile_command.register(app)
verify_command.register(app)
pair_command.register(app)


def main() -> None:
    """Entry point of `edgebll-board`: errors are one sentence on stderr and the exit code of their family."""
    try:
        app()
    except EdgebllError as error:
        print(f"edgebll-board: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
