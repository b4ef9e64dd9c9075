"""The composition root of the `edgebll` command: which commands there are, and how errors leave the program."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgebll import __version__
from edgebll.cli import (
    cluster,
    data,
    doctor,
    evaluate,
    export,
    export_step,
    keys,
    networks,
    operators,
    pipeline,
    quantize,
    reproduce,
    rules,
    train,
)
from edgebll.cli.output import JsonOption, print_json, say, show_long_work
from edgebll.cli.signals import Terminated, termination_interrupts
from edgebll.errors import EXIT_CODES, EdgebllError

INTERRUPTED, TERMINATED = 130, 143
_EPILOG = (
    "Every option can also be set as EDGEBLL_COMMAND_OPTION, e.g. EDGEBLL_TRAIN_EPOCHS=2.\n\n\b\nExit codes:\n"
    + "\n".join(f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items())
)


class Commands(TyperGroup):
    """The commands, with errors turned into one sentence on stderr and the exit code of their family."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with termination_interrupts():
                return super().invoke(ctx)
        except EdgebllError as error:
            say(f"edgebll: {error}")
            raise typer.Exit(error.exit_code) from error
        except Terminated as error:
            say("edgebll: told to end")
            raise typer.Exit(TERMINATED) from error
        except KeyboardInterrupt as error:
            say("edgebll: interrupted")
            raise typer.Exit(INTERRUPTED) from error


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


def run() -> None:
    """Run the command line and exit."""
    try:
        app()
    except BrokenPipeError:
        _end_quietly()
    except SystemExit:
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            _end_quietly()
        raise


def _end_quietly() -> None:
    """Whoever read our output has enough: leave without a traceback from the interpreter's last flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(1)
