"""The page of all commands, written from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import click
import typer.main

from edgebll.cli.app import app
from edgebll.cli.command_table import COMMANDS
from edgebll_devices.commands.app import app as board_app

_HEAD = """# Commands

Written from the commands themselves: `edgebll COMMAND --help` says the same. Every option can also be set as an environment
variable named after program, command and option, e.g. `EDGEBLL_TRAIN_EPOCHS=2`; one that nothing reads is told of, with the
nearest that something does. `edgebll --install-completion` lets bash, zsh or fish complete commands and options, and
`edgebll-board` has it too. Results go to stdout, progress and logs to
stderr; how a command ended is told by its [exit code](exit-codes.md).
"""


def commands_page() -> str:
    """The page's Markdown."""
    programs = (("edgebll", typer.main.get_command(app)), ("edgebll-board", typer.main.get_command(board_app)))
    parts = [_HEAD]
    for program, root in programs:
        parts += [f"## {program}", inspect.cleandoc(root.help or "")]
        for name, command in sorted(_commands(root, program), key=lambda found: _rank(found[0])):
            parts.append(_section(name, command))
    return "\n\n".join(parts) + "\n"


def _rank(name: str) -> tuple[int, str]:
    """Commands of the table in its order, which is that of the overview; others by name."""
    order = [f"edgebll {row.name}" for row in COMMANDS]
    first = " ".join(name.split()[:2])
    return (order.index(first) if first in order else len(order)), name


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """All commands of a group and of groups in it, with their full names."""
    context = click.Context(group, info_name=name)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        if hasattr(command, "list_commands"):
            yield from _commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def _section(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=name)
    usage = " ".join((name, *command.collect_usage_pieces(context)))
    lines = [f"### {name}", "", inspect.cleandoc(command.help or "").replace("\b\n", ""), "", "```text", usage, "```"]
    records = [record for param in command.get_params(context) if (record := param.get_help_record(context))]
    if records:
        lines += ["", "| | |", "|---|---|", *(f"| {_code(names)} | {_cell(text)} |" for names, text in records)]
    if command.epilog:
        lines += ["", "```text", inspect.cleandoc(command.epilog).replace("\b\n", ""), "```"]
    return "\n".join(lines)


def _code(text: str) -> str:
    return f"`{_bars(text)}`"


def _cell(text: str) -> str:
    """Text of a help record: brackets and angles are no Markdown there."""
    plain = " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[").replace("*", "\\*").replace("_", "\\_")
    return _bars(plain)


def _bars(text: str) -> str:
    return text.replace("|", "\\|")
