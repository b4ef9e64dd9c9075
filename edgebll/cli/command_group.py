"""The groups of commands behind `edgebll` and `edgebll-board`."""

from __future__ import annotations

import importlib
from typing import Any

import typer
from typer.core import TyperGroup

from edgebll.cli.command_table import COMMANDS, Row
from edgebll.cli.process_entry import ending_in_order

_TABLE = {row.name: row for row in COMMANDS}


class Commands(TyperGroup):
    """Commands that end in order: typer has answers of its own to interrupts, which never get that far."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the command line."""
        with ending_in_order(self.name or "edgebll"):
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        with ending_in_order(self.name or "edgebll"):
            return super().invoke(ctx)


class TableOfCommands(Commands):
    """The commands of `edgebll.cli.command_table`, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the table."""
        return list(_TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command, made of its function or its group."""
        row = _TABLE.get(cmd_name)
        return None if row is None else load(row)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The overview, by panel; it imports no command."""
        for panel in dict.fromkeys(row.panel for row in COMMANDS):
            with formatter.section(panel):
                formatter.write_dl([(row.name, row.summary) for row in COMMANDS if row.panel == panel])


def load(row: Row) -> Any:
    """Import a command of the table.

    Args:
        row: its entry.

    Returns:
        A click command or group.
    """
    module, _, name = row.target.partition(":")
    found = getattr(importlib.import_module(module), name)
    if isinstance(found, typer.Typer):
        group: Any = typer.main.get_group(found)
        group.name = row.name
        return group
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.command(row.name, short_help=row.summary)(found)
    return typer.main.get_command(app)
