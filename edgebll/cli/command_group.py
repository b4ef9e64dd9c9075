"""The group of commands behind `edgebll` and `edgebll-board`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

from edgebll.cli.process_entry import ending_in_order


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
