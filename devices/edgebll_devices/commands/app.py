"""The composition root of the `edgebll-board` command: which commands there are."""

from __future__ import annotations

from typing import Annotated

import typer

from edgebll.cli.command_group import example, make_group
from edgebll.cli.completion import InstallOption, ShowOption, answer_shells, shell_asks
from edgebll.cli.environment import tell_of_unknown
from edgebll.kernel.version import __version__
from edgebll_devices.commands import bench as bench_command
from edgebll_devices.commands import pair as pair_command
from edgebll_devices.commands import profile as profile_command
from edgebll_devices.commands import serve as serve_command
from edgebll_devices.commands import verify as verify_command

app = make_group("edgebll-board", "Serve the blocks of a network on this board.")
if shell_asks():
    answer_shells()


def _show_version(ctx: typer.Context, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        typer.echo(f"edgebll-board {__version__}")
        raise typer.Exit


@app.callback(epilog=example("edgebll-board serve --listen tcp://127.0.0.1:7101"))
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    install_completion: InstallOption = False,
    show_completion: ShowOption = False,
) -> None:
    """Serve the blocks of a network on this board."""
    tell_of_unknown("edgebll-board")


serve_command.register(app)
profile_command.register(app)
verify_command.register(app)
bench_command.register(app)
pair_command.register(app)
