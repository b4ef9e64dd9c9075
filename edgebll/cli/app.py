"""The `edgebll` command itself: its help, its options, and its commands by `edgebll.cli.command_table`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebll.cli.command_group import TableOfCommands, example
from edgebll.cli.completion import InstallOption, ShowOption, answer_shells, shell_asks
from edgebll.cli.environment import tell_of_unknown
from edgebll.cli.output import show_long_work
from edgebll.kernel.errors import EXIT_CODES
from edgebll.kernel.version import __version__

_EPILOG = (
    example("edgebll train --out runs/first", "edgebll train -h")
    + "\n\nEvery option can also be set as EDGEBLL_COMMAND_OPTION, e.g. EDGEBLL_TRAIN_EPOCHS=2.\n\n\b\nExit codes:\n"
    + "\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items())
)

app = typer.Typer(
    name="edgebll",
    cls=TableOfCommands,
    help="Train block-local networks, export every block with its training step, and pipeline training over small boards.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "EDGEBLL", "help_option_names": ["-h", "--help"]},
)


if shell_asks():
    answer_shells()


def _show_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        typer.echo(f"edgebll {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, allow_from_autoenv=False, help="Show the version and exit."
        ),
    ] = False,
    install_completion: InstallOption = False,
    show_completion: ShowOption = False,
) -> None:
    """Train block-local networks, export every block with its training step, and pipeline training over small boards."""
    show_long_work()
    tell_of_unknown("edgebll")
