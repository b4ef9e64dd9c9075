"""The groups of commands behind `edgebll` and `edgebll-board`."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterable
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from edgebll.cli.command_table import COMMANDS, CommandRow
from edgebll.cli.process_entry import ending_in_order

_TABLE = {row.name: row for row in COMMANDS}


class Completion(NamedTuple):
    """What a shell may write for the user: the part of click's items that shells are told of."""

    value: str
    help: str
    type: str = "plain"


class Commands(TyperGroup):
    """Commands that end in order: typer has answers of its own to interrupts, which never get that far."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        """Read the command line."""
        if options.get("parent") is not None:  # the command that this group is of ends it all
            return super().make_context(*arguments, **options)
        with ending_in_order(self.name or "edgebll"):
            return super().make_context(*arguments, **options)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        if ctx.parent is not None:
            return super().invoke(ctx)
        with ending_in_order(self.name or "edgebll"):
            return super().invoke(ctx)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command that was typed; one that there is not may be a misspelling of one that there is."""
        known = self.list_commands(ctx)
        near = difflib.get_close_matches(args[0], known, n=1)
        if near and args[0] not in known and not ctx.resilient_parsing:
            ctx.fail(f"No such command {args[0]!r}. Did you mean {near[0]!r}?")
        return super().resolve_command(ctx, args)

    def panels(self, ctx: Any) -> Iterable[tuple[str, list[tuple[str, str]]]]:
        """Headings of the overview, and the commands below each with a whole sentence: click cuts long ones off."""
        found: list[tuple[str, Any]] = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        return [("Commands", [(name, summary_of(command)) for name, command in found if not command.hidden])]

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The overview."""
        for panel, rows in self.panels(ctx):
            with formatter.section(panel):
                formatter.write_dl(rows)


class TableOfCommands(Commands):
    """The commands of `edgebll.cli.command_table`, each imported when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names, in the order of the table."""
        return list(_TABLE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command, made of its function or its group."""
        row = _TABLE.get(cmd_name)
        return None if row is None else load(row)

    def panels(self, ctx: Any) -> Iterable[tuple[str, list[tuple[str, str]]]]:
        """The panels of the table; this imports no command."""
        for panel in dict.fromkeys(row.panel for row in COMMANDS):
            yield panel, [(row.name, row.summary) for row in COMMANDS if row.panel == panel]

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """What may stand for `incomplete`; this imports no command either, for a shell waits for it."""
        if incomplete.startswith("-"):
            return super().shell_complete(ctx, incomplete)
        return [Completion(row.name, row.summary) for row in COMMANDS if row.name.startswith(incomplete)]


def summary_of(command: Any) -> str:
    """The first paragraph of a command's help in one line, or what was given to stand for it."""
    return " ".join((command.short_help or (command.help or "").partition("\n\n")[0]).split())


def example(*lines: str) -> str:
    """The end of a command's help: how it is called."""
    return "\n".join(("\b", "Example:" if len(lines) == 1 else "Examples:", *(f"  {line}" for line in lines)))


def make_group(name: str, help: str) -> typer.Typer:
    """A group of commands that looks and ends like all others.

    Args:
        name: as it is typed.
        help: what its commands are for, in a sentence.
    """
    return typer.Typer(
        name=name,
        cls=Commands,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def load(row: CommandRow) -> Any:
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
        group.short_help = row.summary
        group.epilog = example(*row.examples)
        return group
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    app.command(row.name, short_help=row.summary, epilog=example(*row.examples))(found)
    return typer.main.get_command(app)
