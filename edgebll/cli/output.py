"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgebll.kernel.support.console_streams import printable as printable
from edgebll.kernel.support.console_streams import say as say

if TYPE_CHECKING:
    from rich.console import Console

#: The --json option of commands that list or report.
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


class _Sayer(logging.Handler):
    """Says what is logged."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"edgebll: {record.getMessage()}")


def show_long_work() -> None:
    """Show what runtimes of this process say while they work for minutes, e.g. building engines."""
    log = logging.getLogger("edgebll.kernel.execution.load_context")
    if not log.handlers:
        log.addHandler(_Sayer())
        log.setLevel(logging.INFO)
        log.propagate = False


def print_json(value: Any) -> None:
    """Print the result as JSON; a number that is not finite becomes null."""
    typer.echo(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and value - value != 0 else value


def print_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    styles: Mapping[str, str] | None = None,
) -> None:
    """Print a table of plain texts.

    Args:
        columns: their headings.
        rows: texts, one a column.
        title: above the table; none by default.
        right: columns aligned to the right.
        styles: cell text -> rich style, e.g. {"problem": "red"}.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=(styles or {}).get(cell, "")) for cell in row))
    console().print(table)


def console() -> Console:
    """The rich console of stdout; wide where stdout is no terminal, so that files and pipes get unbroken lines."""
    from rich.console import Console

    return (
        Console(file=sys.stdout, highlight=False)
        if sys.stdout.isatty()
        else Console(file=sys.stdout, highlight=False, width=160)
    )


def with_source(data: str, source: str) -> str:
    """A data set's name, with where its samples come from unless they are the original ones."""
    return f"{data} ({source})" if source not in ("", "original") else data
