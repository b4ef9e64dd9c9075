"""The composition root of the `edgebll-board` command: which commands there are."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebll import __version__
from edgebll.cli.command_group import Commands
from edgebll_devices.commands import pair as pair_command
from edgebll_devices.commands import profile as profile_command
from edgebll_devices.commands import serve as serve_command
from edgebll_devices.commands import verify as verify_command

app = typer.Typer(
    name="edgebll-board",
    cls=Commands,
    help="Serve the blocks of a network on this board.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
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
