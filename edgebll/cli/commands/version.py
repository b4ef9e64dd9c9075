"""`edgebll version`."""

from __future__ import annotations

import sys

import typer

from edgebll.cli.output import JsonOption, print_json
from edgebll.kernel.version import __version__


def show_version(json: JsonOption = False) -> None:
    """Show the version of edgebll and of Python."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    if json:
        print_json({"edgebll": __version__, "python": python})
    else:
        typer.echo(f"edgebll {__version__} (Python {python})")
