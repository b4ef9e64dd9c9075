"""The composition root of the `edgebll` command: which commands there are."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from edgebll import __version__
from edgebll.cli.command_group import Commands
from edgebll.cli.commands import data, doctor, evaluate, keys, networks, reproduce, rules, train
from edgebll.cli.output import JsonOption, print_json, show_long_work
from edgebll.kernel.errors import EXIT_CODES
from edgebll_export.commands import export, export_step, operators, quantize
from edgebll_firmware_host.commands import cluster
from edgebll_firmware_host.commands import run as pipeline

_EPILOG = (
    "Every option can also be set as EDGEBLL_COMMAND_OPTION, e.g. EDGEBLL_TRAIN_EPOCHS=2.\n\n\b\nExit codes:\n"
    + "\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items())
)

app = typer.Typer(
    name="edgebll",
    cls=Commands,
    help="Train block-local networks, export every block with its training step, and pipeline training over small boards.",
    epilog=_EPILOG,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "EDGEBLL", "help_option_names": ["-h", "--help"]},
)


def _show_version(value: bool) -> None:
    if value:
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
) -> None:
    """Train block-local networks, export every block with its training step, and pipeline training over small boards."""
    show_long_work()


def show_version(json: JsonOption = False) -> None:
    """Show the version of edgebll and of Python."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    if json:
        print_json({"edgebll": __version__, "python": python})
    else:
        typer.echo(f"edgebll {__version__} (Python {python})")


train.register(app)
export.register(app)
export_step.register(app)
pipeline.register(app)
evaluate.register(app)
quantize.register(app)
app.add_typer(data.app, name="data")
app.add_typer(keys.app, name="keys")
app.add_typer(cluster.app, name="cluster")
networks.register(app)
rules.register(app)
reproduce.register(app)
operators.register(app)
doctor.register(app)
app.command("version", short_help="Show the version.")(show_version)
