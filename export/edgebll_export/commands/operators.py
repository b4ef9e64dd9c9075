"""`edgebll operators`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from edgebll.cli.output import JsonOption, print_json, print_table
from edgebll.kernel.errors import ConfigError
from edgebll.kernel.support.optional_imports import import_exporter


def operators(
    markdown: Annotated[bool, typer.Option("--markdown", help="Print the page docs/reference/operators.md.")] = False,
    json: JsonOption = False,
) -> None:
    """List the PyTorch operators that can be exported, by family."""
    if markdown and json:
        raise ConfigError("--markdown and --json exclude each other; choose one")
    import_exporter("listing operators")
    from edgebll_export.lowering.operator_table import FULL_TARGETS, as_markdown, operator_rows

    rows = operator_rows()
    if json:
        print_json([{**asdict(row), "targets": list(FULL_TARGETS)} for row in rows])
    elif markdown:
        typer.echo(as_markdown(rows), nl=False)
    else:
        print_table(("family", "operators", ""), [(row.family, " ".join(row.operators), row.description) for row in rows])
